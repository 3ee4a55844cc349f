"""The finding codes of the versions probe.

Emit side. It must not know when a code is used. Trade-off: one code per answer, not one per
question, so that an alert can name the answer it is about.
"""

from __future__ import annotations

from infertune_probes.contract.codes import Code

DRIVER_KNOWN = Code("DRIVER_KNOWN", "The driver's version was read, and all that tell it agree.")
DRIVER_UNKNOWN = Code(
    "DRIVER_UNKNOWN",
    "No driver can be seen from here; a fact on a node without a GPU.",
    "on a GPU node: load the driver, and give the pod the nvidia runtimeClass and "
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
)
DRIVER_DISAGREES = Code(
    "DRIVER_DISAGREES",
    "Kernel module and driver library are of different versions, so no new process gets a GPU.",
    "drain the node and reboot it, or reload the nvidia kernel modules",
)
DRIVER_HUNG = Code(
    "DRIVER_HUNG",
    "The driver did not answer in time.",
    "drain the node, read `dmesg | grep -i nvrm`, then reset the GPU or reboot",
)
STACK_NATIVE = Code("STACK_NATIVE", "The driver is as new as the CUDA release of the software.")
STACK_MINOR_VERSION = Code(
    "STACK_MINOR_VERSION",
    "The driver is older than the CUDA release of the software, of the same major version: it "
    "runs, but what is compiled from PTX at run time may not.",
    "nothing has to be done; a driver as new as the CUDA release lifts the limit",
)
STACK_FORWARD = Code(
    "STACK_FORWARD",
    "The driver is of an older major version and the cuda-compat package of the image stands in.",
    "install a driver of the software's CUDA version when the node is next maintained",
)
STACK_UNSUPPORTED = Code(
    "STACK_UNSUPPORTED",
    "The software does not run on this driver or GPU.",
    "install a newer driver, or use an image that is built with an older CUDA",
)
STACK_CPU_ONLY = Code(
    "STACK_CPU_ONLY",
    "The installed torch is built without CUDA: a GPU is not used, whatever the driver.",
    "install a CUDA build: pip install torch from the index of the wanted CUDA release",
)
STACK_UNKNOWN = Code(
    "STACK_UNKNOWN",
    "Driver, or CUDA release of the software, is not known, so nobody can say if they fit.",
    "run the probe in the image of the server, on the node in question",
)
ARCHITECTURE_SUPPORTED = Code(
    "ARCHITECTURE_SUPPORTED", "The torch build holds machine code for the device."
)
ARCHITECTURE_PTX_ONLY = Code(
    "ARCHITECTURE_PTX_ONLY",
    "The torch build has no machine code for the device: the driver compiles PTX at first use.",
    "use a torch build that lists the device's architecture; until then keep ~/.nv/ComputeCache",
)
ARCHITECTURE_MISSING = Code(
    "ARCHITECTURE_MISSING",
    "The torch build has no kernel that runs on the device.",
    "install a torch build whose torch.cuda.get_arch_list() holds the device's architecture",
)
ARCHITECTURE_UNKNOWN = Code(
    "ARCHITECTURE_UNKNOWN",
    "Architecture list or compute capability could not be read.",
    "run the probe with a torch that is built with CUDA",
)
KERNEL_LAUNCHED = Code("KERNEL_LAUNCHED", "Kernels ran on the device and gave the right numbers.")
KERNEL_FAILED = Code(
    "KERNEL_FAILED",
    "A kernel could not be launched on the device, or gave a wrong number.",
    "see the evidence; `no kernel image` means a build without the device's architecture",
)
KERNEL_HUNG = Code(
    "KERNEL_HUNG",
    "A kernel that takes microseconds did not end in time.",
    "drain the node and reset the device",
)
KERNEL_NOT_TRIED = Code(
    "KERNEL_NOT_TRIED",
    "No kernel was launched, because something that it needs is not there.",
    "run the probe in an image with a CUDA build of torch, in a pod with a GPU",
)
CUDNN_FITS = Code(
    "CUDNN_FITS", "The loaded cuDNN is the one that torch was compiled with, or newer."
)
CUDNN_TOO_OLD = Code(
    "CUDNN_TOO_OLD",
    "The loaded cuDNN is older than the one that torch was compiled with, or of another major.",
    "remove other cuDNN libraries from LD_LIBRARY_PATH, so that torch loads the one of its wheel",
)
REQUIREMENT_MET = Code("REQUIREMENT_MET", "The node meets what the image demands of it.")
REQUIREMENT_NOT_MET = Code(
    "REQUIREMENT_NOT_MET",
    "The node does not meet the NVIDIA_REQUIRE_CUDA of the image.",
    "install the driver it asks for, or use an image that is built with an older CUDA",
)
REQUIREMENT_UNKNOWN = Code(
    "REQUIREMENT_UNKNOWN",
    "Whether the node meets NVIDIA_REQUIRE_CUDA depends on a fact that could not be read.",
    "run the probe on the node, with NVIDIA_DRIVER_CAPABILITIES=utility",
)
DEVICES_HIDDEN = Code(
    "DEVICES_HIDDEN",
    "The environment hides all devices from this container.",
    "unset CUDA_VISIBLE_DEVICES, and let the device plugin set NVIDIA_VISIBLE_DEVICES",
)
RELEASE_DISAGREES = Code(
    "RELEASE_DISAGREES",
    "The image says another CUDA major version than torch is built with; libraries of both load.",
    "build the image from a base of the CUDA release that torch is built with",
)

CATALOGUE = (
    DRIVER_KNOWN,
    DRIVER_UNKNOWN,
    DRIVER_DISAGREES,
    DRIVER_HUNG,
    STACK_NATIVE,
    STACK_MINOR_VERSION,
    STACK_FORWARD,
    STACK_UNSUPPORTED,
    STACK_CPU_ONLY,
    STACK_UNKNOWN,
    ARCHITECTURE_SUPPORTED,
    ARCHITECTURE_PTX_ONLY,
    ARCHITECTURE_MISSING,
    ARCHITECTURE_UNKNOWN,
    KERNEL_LAUNCHED,
    KERNEL_FAILED,
    KERNEL_HUNG,
    KERNEL_NOT_TRIED,
    CUDNN_FITS,
    CUDNN_TOO_OLD,
    REQUIREMENT_MET,
    REQUIREMENT_NOT_MET,
    REQUIREMENT_UNKNOWN,
    DEVICES_HIDDEN,
    RELEASE_DISAGREES,
)
