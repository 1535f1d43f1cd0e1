"""The config.json of each model that a shipped recipe trains, as far as it shapes the weights."""

_LLAMA = {"model_type": "llama", "tie_word_embeddings": False}
_7B = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
_13B = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40}
_34B = {"hidden_size": 8192, "intermediate_size": 22016, "num_hidden_layers": 48, "num_attention_heads": 64}
_4B = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32}

CONFIGS = {
    "hotpotqa": _LLAMA | _7B | {"vocab_size": 32000},
    "hotpotqa-llama2-13b": _LLAMA | _13B | {"vocab_size": 32000},
    "hotpotqa-codellama-7b": _LLAMA | _7B | {"vocab_size": 32016},
    "hotpotqa-codellama-13b": _LLAMA | _13B | {"vocab_size": 32016},
    "hotpotqa-codellama-34b": _LLAMA | _34B | {"vocab_size": 32000, "num_key_value_heads": 8},
    "hotpotqa-qwen3-4b": _4B
    | {"model_type": "qwen3", "vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128}
    | {"tie_word_embeddings": True},
}
