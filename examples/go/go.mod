module example.com/embed

go 1.24

require example.com/model v0.0.0

replace example.com/model => ./model
