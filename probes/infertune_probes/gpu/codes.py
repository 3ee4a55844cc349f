"""The finding codes of the gpu probe: what each means and what to do about it.

Emit side. It must not know when a finding is made. Trade-off: one long table in one file, because
the page of codes is generated from it and people look codes up by name.
"""

from __future__ import annotations

from infertune_probes.contract.codes import Code

_RESET = "drain the node, then `nvidia-smi --gpu-reset -i <index>`, or reboot it"
_REPLACE = "drain the node and have the device replaced (RMA)"

# ---- which devices are there, and who says so
GPU_PRESENT = Code("GPU_PRESENT", "NVML sees at least one GPU.")
GPU_NOT_USABLE = Code(
    "GPU_NOT_USABLE",
    "A GPU is on the PCI bus, and NVML cannot use any.",
    "load the NVIDIA driver; in a pod, set the nvidia runtimeClass and "
    "NVIDIA_DRIVER_CAPABILITIES=utility",
)
GPU_UNKNOWN = Code(
    "GPU_UNKNOWN",
    "Neither NVML nor the PCI bus can be read, so a GPU is neither proved nor excluded.",
    "mount /sys read-only, or set the nvidia runtimeClass",
)
INTEGRATED_GPU = Code(
    "INTEGRATED_GPU",
    "This is a Jetson: its GPU is part of the chip, is on no PCI bus, and tells NVML only a part.",
    "use `tegrastats` on the machine for what NVML does not tell there",
)
NVML_HUNG = Code(
    "NVML_HUNG",
    "A call of the NVIDIA driver did not return in time.",
    "drain the node and reset or replace the GPU; see its XID errors in the kernel log",
)
NVML_CRASHED = Code(
    "NVML_CRASHED",
    "The NVIDIA driver's library died while it was asked.",
    "install the library of the same version as the kernel module (`cat /proc/driver/nvidia/"
    "version`), or reboot the node after a driver update",
)
DEVICE_LOST = Code(
    "DEVICE_LOST", "A device no longer answers NVML, or asks for a reset before it does.", _RESET
)
GPU_OFF_BUS = Code(
    "GPU_OFF_BUS",
    "A GPU is listed on the PCI bus and no longer answers there: it has fallen off the bus.",
    "drain and reboot the node; reseat or replace the device, and check its power, when it recurs",
)
ON_BUS_NOT_IN_NVML = Code(
    "ON_BUS_NOT_IN_NVML",
    "A GPU is on the PCI bus and NVML does not list it.",
    "see `dmesg | grep NVRM` for why the driver left the device out",
)
FEWER_THAN_HOST = Code(
    "FEWER_THAN_HOST",
    "This container was given only some of the node's GPUs.",
    "normal for a pod that asks for some of the node's GPUs; NVIDIA_VISIBLE_DEVICES=all shows all",
)
SOURCES_DISAGREE = Code(
    "SOURCES_DISAGREE",
    "NVML and nvidia-smi list different devices.",
    "driver library and nvidia-smi differ: reinstall the driver or reboot the node",
)
TORCH_CPU_BUILD = Code(
    "TORCH_CPU_BUILD",
    "NVML sees a GPU, and the PyTorch here is a build without CUDA.",
    "install a CUDA build of torch that this driver supports, or use an image that has one",
)
TORCH_DRIVER_TOO_OLD = Code(
    "TORCH_DRIVER_TOO_OLD",
    "NVML sees a GPU, and its driver is too old for the CUDA of the PyTorch here.",
    "update the driver, or use a PyTorch built for an older CUDA; "
    "`python -m infertune_probes.versions` names a set that runs",
)
TORCH_DEVICES_HIDDEN = Code(
    "TORCH_DEVICES_HIDDEN",
    "NVML sees a GPU that CUDA_VISIBLE_DEVICES hides from PyTorch.",
    "unset CUDA_VISIBLE_DEVICES, or name the device's UUID in it",
)
TORCH_NO_DEVICE_NODE = Code(
    "TORCH_NO_DEVICE_NODE",
    "NVML sees a GPU, and the device file that CUDA needs is not in this container.",
    "request the device (`resources.limits: {nvidia.com/gpu: 1}`) and set "
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
)
TORCH_SEES_NONE = Code(
    "TORCH_SEES_NONE",
    "NVML sees a GPU, and PyTorch does not, for none of the known reasons.",
    "run `python -c 'import torch; torch.cuda.init()'` in the image and read its error",
)
TORCH_DISAGREES = Code(
    "TORCH_DISAGREES",
    "PyTorch sees another number of devices than NVML.",
    "check CUDA_VISIBLE_DEVICES, and that every device of the pod is healthy",
)
TENSORFLOW_SEES_NONE = Code(
    "TENSORFLOW_SEES_NONE",
    "NVML sees a GPU, and the TensorFlow here does not.",
    "install `tensorflow[and-cuda]` in the version that the driver supports",
)

# ---- health of one device
DEVICE_HEALTHY = Code(
    "DEVICE_HEALTHY", "Every sign of health that a device has was read and is good."
)
HEALTH_PARTLY_UNKNOWN = Code(
    "HEALTH_PARTLY_UNKNOWN",
    "A sign of health could not be read, so it is not called good.",
    "see the reason: a missing permission needs a privileged probe, a missing feature another GPU",
)
ECC_UNCORRECTED = Code(
    "ECC_UNCORRECTED",
    "Memory errors that ECC could not correct since the driver was loaded: results may be wrong.",
    _RESET + "; replace the device when they come back",
)
ECC_GROWING = Code(
    "ECC_GROWING",
    "The number of corrected memory errors grew while the probe watched.",
    "plan a reset, and replace the device when the rate stays",
)
ECC_HISTORY = Code(
    "ECC_HISTORY",
    "The device had uncorrectable memory errors in its life, none since the driver was loaded.",
    "watch it: `nvidia-smi -q -d ECC,ROW_REMAPPER`; replace it when new ones appear",
)
ECC_OFF = Code(
    "ECC_OFF",
    "The device can check its memory and does not: a wrong answer would go unseen.",
    "`nvidia-smi -e 1 -i <index>`, then reset the device",
)
ROW_REMAP_FAILED = Code(
    "ROW_REMAP_FAILED", "A bad row of memory could not be replaced by a spare one.", _REPLACE
)
ROW_REMAP_PENDING = Code(
    "ROW_REMAP_PENDING", "A bad row of memory waits for a reset to be replaced.", _RESET
)
PAGES_PENDING = Code("PAGES_PENDING", "Bad pages of memory wait for a reset to be retired.", _RESET)
INFOROM_CORRUPT = Code(
    "INFOROM_CORRUPT", "The checksum of the device's own record (infoROM) is wrong.", _REPLACE
)
RECOVERY_NEEDED = Code(
    "RECOVERY_NEEDED", "The driver asks for a recovery action on this device.", _RESET
)
XID_HARDWARE = Code(
    "XID_HARDWARE",
    "The kernel log holds XID errors that point to hardware.",
    "drain the node, reset the GPU, replace it when they come back",
)
XID_APPLICATION = Code(
    "XID_APPLICATION",
    "The kernel log holds XID errors that a program on the GPU most often causes.",
    "look for a crash of the program at that time; run it with compute-sanitizer",
)
XID_OTHER = Code(
    "XID_OTHER",
    "The kernel log holds XID errors that are in neither list.",
    "look the number up in NVIDIA's XID catalogue",
)
XID_NONE = Code("XID_NONE", "The kernel log was read and holds no XID error.")
XID_UNKNOWN = Code(
    "XID_UNKNOWN",
    "The kernel log cannot be read here, so XID errors are unknown.",
    "run `dmesg | grep -i xid` on the node, or mount /dev/kmsg with CAP_SYSLOG",
)
HW_SLOWDOWN = Code(
    "HW_SLOWDOWN",
    "Hardware holds the clocks back (heat, or the power supply); under load that is a defect.",
    "check fans, airflow and power cables of the node; drain it while it lasts",
)
SW_THERMAL_SLOWDOWN = Code(
    "SW_THERMAL_SLOWDOWN",
    "The driver holds the clocks back to stay below the operating temperature.",
    "improve the airflow, or lower the limit: `nvidia-smi -pl <watts> -i <index>`",
)
POWER_CAPPED = Code(
    "POWER_CAPPED",
    "The power limit held the clocks back in the window; normal under heavy matrix work.",
    "compare only with devices under the same limit",
)
POWER_LIMIT_LOWERED = Code(
    "POWER_LIMIT_LOWERED",
    "The power limit is below the device's default, so it is slower than its model's others.",
    "`nvidia-smi -pl <default watts> -i <index>`, unless it was lowered on purpose",
)
CLOCKS_LOCKED = Code(
    "CLOCKS_LOCKED",
    "Application or locked clocks hold the device below its default clocks.",
    "`nvidia-smi -rac -i <index>` and `nvidia-smi -rgc -i <index>`, unless it was done on purpose",
)
TEMPERATURE_HIGH = Code(
    "TEMPERATURE_HIGH",
    "The device is close to the temperature at which it slows itself down.",
    "check fans and airflow of the node",
)
PERFORMANCE_STATE_LOW = Code(
    "PERFORMANCE_STATE_LOW",
    "The device was busy and stayed in a low performance state.",
    "reset the clocks with `nvidia-smi -rgc -i <index>`; check the power limit and the cooling",
)
PCIE_LINK = Code(
    "PCIE_LINK",
    "The PCI Express link at rest; a lower generation there saves power and is normal.",
    "run with --window 10 while the device works, to have the link judged",
)
PCIE_UNDER_LOAD = Code(
    "PCIE_UNDER_LOAD",
    "The PCI Express link while the device worked: slower than its maximum is a fault.",
    "reseat the card or check the riser and the slot; see `lspci -vv | grep LnkSta`",
)
PCIE_REPLAYS = Code(
    "PCIE_REPLAYS",
    "Packets on the PCI Express link had to be sent again while the probe watched.",
    "reseat the card or check the riser; replace it when they go on",
)
NVLINK_DOWN = Code(
    "NVLINK_DOWN",
    "Some of the device's NVLinks are up and others are not.",
    "normal where a bridge or neighbour is not there (compare with the node's other GPUs, "
    "`nvidia-smi nvlink -s`); else reset the GPU, check bridge or fabric manager",
)
NVLINK_ERRORS = Code(
    "NVLINK_ERRORS",
    "NVLinks counted errors since the driver was loaded.",
    "watch `nvidia-smi nvlink -e`; reset the GPU, replace bridge or board when they grow",
)

# ---- settings and sharing
PERSISTENCE_OFF = Code(
    "PERSISTENCE_OFF",
    "The driver is unloaded from the device whenever no program uses it: starts are slow.",
    "run nvidia-persistenced on the node, or `nvidia-smi -pm 1`",
)
COMPUTE_PROHIBITED = Code(
    "COMPUTE_PROHIBITED",
    "The compute mode forbids every CUDA program on this device.",
    "`nvidia-smi -c DEFAULT -i <index>`",
)
COMPUTE_EXCLUSIVE = Code(
    "COMPUTE_EXCLUSIVE",
    "The compute mode allows one process, so a second server on this device will not start.",
    "`nvidia-smi -c DEFAULT -i <index>` where devices are shared",
)
MIG_ENABLED = Code("MIG_ENABLED", "The device is divided into MIG instances.")
MIG_EMPTY = Code(
    "MIG_EMPTY",
    "MIG is on and no instance is visible, so no program can use the device.",
    "create instances (`nvidia-smi mig -cgi <profile> -C`) or turn MIG off (`nvidia-smi -mig 0`)",
)
MIG_PENDING = Code(
    "MIG_PENDING", "A change of the MIG mode waits for a reset of the device.", _RESET
)
MPS_ACTIVE = Code(
    "MPS_ACTIVE",
    "Processes share the device through CUDA MPS.",
    "give each replica its share with CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
)
FOREIGN_PROCESS = Code(
    "FOREIGN_PROCESS",
    "A process of another pod or of the node uses the device: figures measured now are not ours.",
    "move it, or give the pod a device of its own",
)
HIDDEN_USE = Code(
    "HIDDEN_USE",
    "The device is in use, and by whom cannot be told from here.",
    "run the probe with hostPID, or `nvidia-smi` on the node",
)
GRAPHICS_PROCESS = Code(
    "GRAPHICS_PROCESS",
    "A graphics process (a desktop, say) uses the device.",
    "stop the display server on the node, or move the model to another device",
)

# ---- the window
WINDOW_SAMPLED = Code("WINDOW_SAMPLED", "The devices were watched for a while.")
WINDOW_CUT = Code(
    "WINDOW_CUT",
    "The watching ended before its time.",
    "see the reason; a hung call means: drain the node and reset the device",
)
GPU_BUSY = Code("GPU_BUSY", "The server's device worked while load was offered.")
GPU_NOT_USED = Code(
    "GPU_NOT_USED",
    "The server's device did next to nothing while load was offered.",
    "see the likely cause in the evidence",
)
GPU_USE_UNKNOWN = Code(
    "GPU_USE_UNKNOWN",
    "Whether the server uses its device could not be told.",
    "run with --window 10 or longer, in the server's pod, while load is offered",
)

# ---- the gate around a trial, and the watch beside its server
TRIAL_DEVICE = Code("TRIAL_DEVICE", "A device that this trial's server was given, by its UUID.")
TRIAL_DEVICES_UNKNOWN = Code(
    "TRIAL_DEVICES_UNKNOWN",
    "Which devices the trial's server was given cannot be told, so none of them is watched.",
    "let the device plugin name the devices (NVIDIA_VISIBLE_DEVICES), and set the nvidia "
    "runtimeClass",
)
TRIAL_DEVICE_SHARED = Code(
    "TRIAL_DEVICE_SHARED",
    "Something else uses a device of the trial: figures measured on it are not the server's own.",
    "give trials a device of their own (no time-slicing or MPS), or set spec.probes.gpuCheck: "
    "Disabled where sharing is meant",
)

CATALOGUE = (
    GPU_PRESENT,
    GPU_NOT_USABLE,
    GPU_UNKNOWN,
    INTEGRATED_GPU,
    NVML_HUNG,
    NVML_CRASHED,
    DEVICE_LOST,
    GPU_OFF_BUS,
    ON_BUS_NOT_IN_NVML,
    FEWER_THAN_HOST,
    SOURCES_DISAGREE,
    TORCH_CPU_BUILD,
    TORCH_DRIVER_TOO_OLD,
    TORCH_DEVICES_HIDDEN,
    TORCH_NO_DEVICE_NODE,
    TORCH_SEES_NONE,
    TORCH_DISAGREES,
    TENSORFLOW_SEES_NONE,
    DEVICE_HEALTHY,
    HEALTH_PARTLY_UNKNOWN,
    ECC_UNCORRECTED,
    ECC_GROWING,
    ECC_HISTORY,
    ECC_OFF,
    ROW_REMAP_FAILED,
    ROW_REMAP_PENDING,
    PAGES_PENDING,
    INFOROM_CORRUPT,
    RECOVERY_NEEDED,
    XID_HARDWARE,
    XID_APPLICATION,
    XID_OTHER,
    XID_NONE,
    XID_UNKNOWN,
    HW_SLOWDOWN,
    SW_THERMAL_SLOWDOWN,
    POWER_CAPPED,
    POWER_LIMIT_LOWERED,
    CLOCKS_LOCKED,
    TEMPERATURE_HIGH,
    PERFORMANCE_STATE_LOW,
    PCIE_LINK,
    PCIE_UNDER_LOAD,
    PCIE_REPLAYS,
    NVLINK_DOWN,
    NVLINK_ERRORS,
    PERSISTENCE_OFF,
    COMPUTE_PROHIBITED,
    COMPUTE_EXCLUSIVE,
    MIG_ENABLED,
    MIG_EMPTY,
    MIG_PENDING,
    MPS_ACTIVE,
    FOREIGN_PROCESS,
    HIDDEN_USE,
    GRAPHICS_PROCESS,
    WINDOW_SAMPLED,
    WINDOW_CUT,
    GPU_BUSY,
    GPU_NOT_USED,
    GPU_USE_UNKNOWN,
    TRIAL_DEVICE,
    TRIAL_DEVICES_UNKNOWN,
    TRIAL_DEVICE_SHARED,
)
