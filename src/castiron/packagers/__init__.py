"""What a compiled model can be packed into: one module per kind of artefact."""
