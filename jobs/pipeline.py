"""Generate, convert, train and evaluate, as a Ray job; some of it by --stages. A rerun goes on. By hand:

ray job submit --working-dir . -- python jobs/pipeline.py --recipe demo --set output_dir=/shared/runs

`fireact submit` does the same with less to know: it packs the code, names the keys, and refuses a second one.
"""

import sys

from fireact_ray.cli.job import main

if __name__ == "__main__":
    main(sys.argv[1:])
