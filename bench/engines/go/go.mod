module bench

go 1.27

require castiron.model v0.0.0

replace castiron.model => ../model
