"""Makes the demo server's models; needs onnx, which the server itself does not."""
