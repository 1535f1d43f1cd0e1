"""The bundled base model of the demo: a Llama of a million parameters, made from scratch by `pretrain.py`."""
