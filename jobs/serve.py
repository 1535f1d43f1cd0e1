"""Serve the fine-tuned agent, as a Ray job that goes on until it is stopped:

ray job submit --working-dir . -- python jobs/serve.py --recipe demo --set output_dir=/shared/runs
"""

import sys

from fireact_ray.cli.job import serve

if __name__ == "__main__":
    serve(sys.argv[1:])
