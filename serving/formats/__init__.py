"""A trained tagger as ONNX, LiteRT or OpenVINO file, with a certificate."""
