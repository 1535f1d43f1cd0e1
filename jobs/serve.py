"""Serve the fine-tuned agent, as a Ray job:

ray job submit --working-dir . -- python jobs/serve.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.serve import serve

if __name__ == "__main__":
    run_job(serve)
