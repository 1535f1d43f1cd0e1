"""Fine-tune the student, as a Ray job:

ray job submit --working-dir . -- python jobs/train.py --recipe demo --set output_dir=/shared/runs
"""

from fireact_ray.cli.main import run_job
from fireact_ray.stages.train_student import train_student

if __name__ == "__main__":
    run_job(train_student)
