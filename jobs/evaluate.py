"""Evaluate base and fine-tuned agents, as a Ray job:

ray job submit --working-dir . -- python jobs/evaluate.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.evaluate import evaluate

if __name__ == "__main__":
    run_job(evaluate)
