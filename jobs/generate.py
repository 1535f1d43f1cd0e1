"""Generate trajectories, as a Ray job:

ray job submit --working-dir . -- python jobs/generate.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.generate import generate

if __name__ == "__main__":
    run_job(generate)
