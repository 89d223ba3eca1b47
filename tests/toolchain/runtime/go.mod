module castiron.model

go 1.24
