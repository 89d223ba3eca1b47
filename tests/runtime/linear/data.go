// Package data stands in for what the compiler writes: the model of package enginetest.
package data

import "castiron.model/internal/enginetest"

// Model is the model.
var Model = *enginetest.LinearModel()
