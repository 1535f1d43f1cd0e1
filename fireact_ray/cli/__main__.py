"""python -m fireact_ray.cli"""

from fireact_ray.cli.app import main

main()
