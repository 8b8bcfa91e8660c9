"""What a site's power does: plans for its battery, reserve floors, guards and fallbacks."""

from hw.kernel_cache import keep_kernels_apart

keep_kernels_apart()
