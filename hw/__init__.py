"""What there is: physics of the radio, worlds in arrays and the simulated plant."""

from hw.kernel_cache import keep_kernels_apart

keep_kernels_apart()
