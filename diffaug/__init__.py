"""Does a training set enlarged by diffusion-generated images help, on real test images?"""

import os
import sys

from diffaug.runtime import endpoints

# OpenMP reads these when torch is loaded, so they are set before. A thread that waits in a loop takes the core from
# other processes: beside one, a step of training takes several times as long. So threads sleep while they wait, but not
# at once, since short waits are frequent and waking up takes long (measured by benchmarks/threads.py). Torch has the
# OpenMP of GNU, which knows the second, on Linux only.
if sys.platform == "linux" and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}

endpoints.prepare()  # every stage, command and process imports this package before huggingface_hub
