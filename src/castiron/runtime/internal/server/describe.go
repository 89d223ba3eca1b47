package server

import (
	"fmt"

	"castiron.model/internal/codec"
	"castiron.model/internal/engine"
)

// modelVersion is the one version that a binary serves.
const modelVersion = "1"

// status is TensorFlow Serving's model status, with KServe's keys beside it.
func (s *Server) status() string {
	return string(codec.AppendString([]byte(`{
    "model_version_status": [
        {
            "version": "`+modelVersion+`",
            "state": "AVAILABLE",
            "status": {
                "error_code": "OK",
                "error_message": ""
            }
        }
    ],
    "name": `), s.Name)) + `,
    "ready": true
}`
}

var tensorFlowTypes = map[engine.DType]string{
	engine.F32: "DT_FLOAT", engine.F64: "DT_DOUBLE",
	engine.I8: "DT_INT8", engine.I16: "DT_INT16", engine.I32: "DT_INT32", engine.I64: "DT_INT64",
	engine.U8: "DT_UINT8", engine.U16: "DT_UINT16", engine.U32: "DT_UINT32", engine.U64: "DT_UINT64",
	engine.Bool: "DT_BOOL", engine.String: "DT_STRING",
}

// metadata is TensorFlow Serving's description of the signature.
func (s *Server) metadata() string {
	b := codec.AppendString([]byte("{\n\"model_spec\": {\n \"name\": "), s.Name)
	b = fmt.Appendf(b, `,
 "signature_name": "",
 "version": "%s"
},
"metadata": {"signature_def": {
 "signature_def": {
  "%s": {
   "inputs": `, modelVersion, defaultSignature)
	b = appendTensorInfos(b, s.engine.Inputs())
	b = append(b, ",\n   \"outputs\": "...)
	b = appendTensorInfos(b, s.engine.Outputs())
	return string(append(b, `,
   "method_name": "tensorflow/serving/predict",
   "defaults": {}
  }
 }
}
}
}`...))
}

func appendTensorInfos(b []byte, specs []engine.Spec) []byte {
	b = append(b, '{')
	for i, s := range specs {
		if i > 0 {
			b = append(b, ',')
		}
		b = codec.AppendString(append(b, "\n    "...), s.Name)
		b = fmt.Appendf(b, ": {\n     \"dtype\": %q,\n     \"tensor_shape\": {\n      \"dim\": [", tensorFlowTypes[s.DType])
		for j, d := range s.Shape {
			if j > 0 {
				b = append(b, ',')
			}
			size, static := d.Static()
			if !static {
				size = -1
			}
			b = fmt.Appendf(b, "\n       {\n        \"size\": \"%d\",\n        \"name\": \"\"\n       }", size)
		}
		b = append(b, "\n      ],\n      \"unknown_rank\": false\n     },\n     \"name\": "...)
		b = append(codec.AppendString(b, s.Label+":0"), "\n    }"...)
	}
	return append(b, "\n   }"...)
}
