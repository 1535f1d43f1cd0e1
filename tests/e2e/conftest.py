"""The shipped demo at a size for tests."""

SMALL = [
    "--set=generate={split: train, n_questions: 16, workers: 1, concurrency: 32}",
    "--set=train.epochs=1",
    "--set=evaluate={split: test, n_questions: 4, systems: [finetuned]}",
]
