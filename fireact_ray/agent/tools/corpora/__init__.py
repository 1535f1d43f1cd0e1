"""Search corpora from what people have: any of their files in, one JSONL file of {"title", "text"} out."""
