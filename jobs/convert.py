"""Convert trajectories into a dataset, as a Ray job:

ray job submit --working-dir . -- python jobs/convert.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.convert import convert

if __name__ == "__main__":
    run_job(convert)
