"""Fine-tuning at a provider of OpenAI's protocol: a training file in, the name of a trained model out."""
