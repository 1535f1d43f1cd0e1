"""Generate, convert, train and evaluate, as a Ray job:

ray job submit --working-dir . -- python jobs/pipeline.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.pipeline import pipeline

if __name__ == "__main__":
    run_job(pipeline)
