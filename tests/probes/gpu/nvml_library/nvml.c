/* A libnvidia-ml.so.1 whose devices and faults are written in a file, for tests without a GPU.
 *
 * It implements the calls of the NVML ABI that the gpu probe makes, written from the signatures in
 * nvidia-ml-py, so the real nvidia-ml-py loads it. NVML_SCENARIO names a file of lines "key value":
 * "driver 580.65.06", "0.temperature 41". What a value can be:
 *   absent      the call answers Not Supported, or what the device's "*" says
 *   !15         the call answers with that error code
 *   hang        the call never returns        crash   the call dies of a segmentation fault
 *   1,2,3       1 for the first call, then 2, then 3 for all that follow
 * Compiled with -DOLD_DRIVER it lacks the calls that drivers before 535 lack.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, MANY = 16, MIGS = 8 };
typedef unsigned long long ull;
typedef struct { char name[24]; } Device;
typedef struct { char key[64]; char value[256]; unsigned calls; } Entry;

static Entry entries[4096];
static unsigned entry_count;
static Device devices[MANY * (MIGS + 1)];

static void read_scenario(void) {
    const char *path = getenv("NVML_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    entry_count = 0;
    while (file && entry_count < 4096) {
        Entry *entry = &entries[entry_count];
        if (fscanf(file, "%63s %255[^\n]", entry->key, entry->value) != 2) break;
        entry->calls = 0;
        entry_count++;
    }
    if (file) fclose(file);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(devices[i].name, sizeof devices[i].name, "%u.", i);
        for (unsigned m = 0; m < MIGS; m++)
            snprintf(devices[MANY + i * MIGS + m].name, sizeof devices[i].name, "%u.mig%u.", i, m);
    }
}

static Entry *find(const Device *device, const char *key) {
    char full[64];
    snprintf(full, sizeof full, "%s%s", device ? device->name : "", key);
    for (unsigned i = 0; i < entry_count; i++)
        if (!strcmp(entries[i].key, full)) return &entries[i];
    return NULL;
}

/* Returns the text of this call, or NULL with the error in *code; faults happen here. */
static const char *text_of(const Device *device, const char *key, int *code) {
    Entry *entry = find(device, key);
    if (!entry && device) entry = find(device, "*");
    *code = OK;
    if (!entry) { *code = NOT_SUPPORTED; return NULL; }
    const char *at = entry->value;
    for (unsigned i = 0; i < entry->calls && strchr(at, ','); i++) at = strchr(at, ',') + 1;
    entry->calls++;
    if (!strncmp(at, "hang", 4)) for (;;) pause();
    if (!strncmp(at, "crash", 5)) *(volatile int *)0 = 1;
    if (*at == '!') { *code = atoi(at + 1); return NULL; }
    return at;
}

static int number_of(const Device *device, const char *key, ull *out) {
    int code;
    const char *text = text_of(device, key, &code);
    if (text) *out = strtoull(text, NULL, 0);
    return code;
}

static int unsigned_of(const Device *device, const char *key, unsigned *out) {
    ull value = 0;
    int code = number_of(device, key, &value);
    if (code == OK) *out = (unsigned)value;
    return code;
}

static int string_of(const Device *device, const char *key, char *out, unsigned size) {
    int code;
    const char *text = text_of(device, key, &code);
    if (text) snprintf(out, size, "%s", text);
    return code;
}

static int pair_of(const Device *d, const char *one, unsigned *a, const char *two, unsigned *b) {
    int code = unsigned_of(d, one, a);
    return code == OK ? unsigned_of(d, two, b) : code;
}

#define UNSIGNED(call, key) int call(Device *d, unsigned *out) { return unsigned_of(d, key, out); }
#define STRING(call, key) \
    int call(Device *d, char *out, unsigned size) { return string_of(d, key, out, size); }
#define BY_KIND(call, ...) \
    int call(Device *d, unsigned kind, unsigned *out) { \
        static const char *keys[] = {__VA_ARGS__}; \
        if (kind >= sizeof keys / sizeof *keys) return INVALID; \
        return unsigned_of(d, keys[kind], out); \
    }
#define WITH_PERIOD(call, key) \
    int call(Device *d, unsigned *out, unsigned *period) { \
        *period = 166667; \
        return unsigned_of(d, key, out); \
    }

/* ---- the system */
int nvmlInitWithFlags(unsigned flags) {
    int code;
    (void)flags;
    read_scenario();
    text_of(NULL, "init", &code);
    return code == NOT_SUPPORTED ? OK : code;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the scenario"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    return string_of(NULL, "driver", out, size);
}
int nvmlSystemGetNVMLVersion(char *out, unsigned size) { return string_of(NULL, "nvml", out, size); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return unsigned_of(NULL, "cuda", (unsigned *)out); }
int nvmlDeviceGetCount_v2(unsigned *out) { return unsigned_of(NULL, "count", out); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **out) {
    unsigned unused;
    if (index >= MANY) return INVALID;
    *out = &devices[index];
    if (!find(*out, "handle")) return OK;
    return unsigned_of(*out, "handle", &unused);
}

/* ---- what a device is */
STRING(nvmlDeviceGetName, "name")
STRING(nvmlDeviceGetUUID, "uuid")
STRING(nvmlDeviceGetSerial, "serial")
STRING(nvmlDeviceGetVbiosVersion, "vbios")
UNSIGNED(nvmlDeviceGetMinorNumber, "minor")
UNSIGNED(nvmlDeviceGetArchitecture, "architecture")
UNSIGNED(nvmlDeviceGetPersistenceMode, "persistence")
UNSIGNED(nvmlDeviceGetComputeMode, "compute_mode")
int nvmlDeviceGetCudaComputeCapability(Device *d, unsigned *major, unsigned *minor) {
    return pair_of(d, "capability_major", major, "capability_minor", minor);
}
int nvmlDeviceGetEccMode(Device *d, unsigned *current, unsigned *pending) {
    return pair_of(d, "ecc_mode", current, "ecc_pending", pending);
}
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    return pair_of(d, "mig_mode", current, "mig_pending", pending);
}
typedef struct {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} Pci;
int nvmlDeviceGetPciInfo_v3(Device *d, Pci *out) {
    memset(out, 0, sizeof *out);
    return string_of(d, "bus", out->bus_id, sizeof out->bus_id);
}
int nvmlDeviceValidateInforom(Device *d) {
    unsigned unused;
    return unsigned_of(d, "inforom", &unused);
}

/* ---- memory, use, power, clocks */
int nvmlDeviceGetMemoryInfo(Device *d, ull out[3]) {
    int code = number_of(d, "memory_total", &out[0]);
    if (code == OK) code = number_of(d, "memory_used", &out[2]);
    if (code == OK) out[1] = out[0] - out[2];
    return code;
}
int nvmlDeviceGetBAR1MemoryInfo(Device *d, ull out[3]) {
    int code = number_of(d, "bar1_total", &out[0]);
    if (code == OK) code = number_of(d, "bar1_used", &out[2]);
    if (code == OK) out[1] = out[0] - out[2];
    return code;
}
int nvmlDeviceGetUtilizationRates(Device *d, unsigned out[2]) {
    return pair_of(d, "sm", &out[0], "memory_controller", &out[1]);
}
WITH_PERIOD(nvmlDeviceGetEncoderUtilization, "encoder")
WITH_PERIOD(nvmlDeviceGetDecoderUtilization, "decoder")
WITH_PERIOD(nvmlDeviceGetJpgUtilization, "jpeg")
WITH_PERIOD(nvmlDeviceGetOfaUtilization, "ofa")
BY_KIND(nvmlDeviceGetTemperature, "temperature")
BY_KIND(nvmlDeviceGetTemperatureThreshold, "shutdown", "slowdown", "memory_max", "gpu_max")
int nvmlDeviceGetMarginTemperature(Device *d, unsigned out[2]) {
    return out[0] == 0x1000008 ? unsigned_of(d, "margin", &out[1]) : INVALID;
}
UNSIGNED(nvmlDeviceGetPowerUsage, "power")
UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, "power_limit")
UNSIGNED(nvmlDeviceGetPowerManagementDefaultLimit, "power_default")
int nvmlDeviceGetPowerManagementLimitConstraints(Device *d, unsigned *low, unsigned *high) {
    return pair_of(d, "power_min", low, "power_max", high);
}
BY_KIND(nvmlDeviceGetClockInfo, "graphics_clock", "sm_clock", "memory_clock", "video_clock")
BY_KIND(nvmlDeviceGetMaxClockInfo, "max_graphics", "max_sm", "max_memory", "max_video")
BY_KIND(nvmlDeviceGetApplicationsClock, "app_graphics", "app_sm", "app_memory")
BY_KIND(nvmlDeviceGetDefaultApplicationsClock, "app_default_graphics", "none", "app_default_memory")
UNSIGNED(nvmlDeviceGetPerformanceState, "pstate")
#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(Device *d, ull *out) {
    return number_of(d, "reasons", out);
}
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *d, ull *out) {
    return number_of(d, "reasons", out);
}
int nvmlDeviceGetViolationStatus(Device *d, unsigned policy, ull out[2]) {
    char key[24];
    snprintf(key, sizeof key, "violation%u", policy);
    out[0] = 0;
    return number_of(d, key, &out[1]);
}

/* ---- errors */
int nvmlDeviceGetTotalEccErrors(Device *d, unsigned kind, unsigned counter, ull *out) {
    static const char *keys[2][2] = {{"ecc_corrected", "ecc_corrected_aggregate"},
                                     {"ecc_uncorrected", "ecc_uncorrected_aggregate"}};
    return kind > 1 || counter > 1 ? INVALID : number_of(d, keys[kind][counter], out);
}
int nvmlDeviceGetRemappedRows(Device *d, unsigned *c, unsigned *u, unsigned *pend, unsigned *fail) {
    int code = pair_of(d, "rows_corrected", c, "rows_uncorrected", u);
    return code == OK ? pair_of(d, "rows_pending", pend, "rows_failure", fail) : code;
}
UNSIGNED(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pending")
int nvmlDeviceGetRetiredPages(Device *d, unsigned cause, unsigned *count, ull *pages) {
    unsigned known = 0;
    int code = unsigned_of(d, cause ? "retired_double" : "retired_single", &known);
    if (code != OK) return code;
    if (!pages && known) { *count = known; return TOO_SMALL; }
    for (unsigned i = 0; i < known; i++) pages[i] = 4096ull * i;
    *count = known;
    return OK;
}
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    uint32_t type, code;
    union { double d; unsigned u; ull w; } value;
} Field;
int nvmlDeviceGetFieldValues(Device *d, int count, Field *fields) {
    for (int i = 0; i < count; i++) {
        char key[24];
        ull value = 0;
        snprintf(key, sizeof key, "field%u", fields[i].field);
        fields[i].code = number_of(d, key, &value);
        fields[i].type = 3;
        fields[i].value.w = value;
    }
    return OK;
}

/* ---- links */
UNSIGNED(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
UNSIGNED(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_max_generation")
UNSIGNED(nvmlDeviceGetGpuMaxPcieLinkGeneration, "pcie_device_generation")
UNSIGNED(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
UNSIGNED(nvmlDeviceGetMaxPcieLinkWidth, "pcie_max_width")
UNSIGNED(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
BY_KIND(nvmlDeviceGetPcieThroughput, "pcie_tx", "pcie_rx")
int nvmlDeviceGetNvLinkState(Device *d, unsigned link, unsigned *out) {
    char key[24];
    snprintf(key, sizeof key, "link%u", link);
    return unsigned_of(d, key, out);
}
int nvmlDeviceGetNvLinkErrorCounter(Device *d, unsigned link, unsigned counter, ull *out) {
    static const char *names[] = {"replay", "recovery", "crc_flit", "crc_data", "ecc"};
    char key[32];
    if (counter > 4) return INVALID;
    snprintf(key, sizeof key, "link%u_%s", link, names[counter]);
    return number_of(d, key, out);
}

/* ---- processes: "pid:bytes;pid:na", and their use "pid:sm:memory:encoder:decoder;..." */
typedef struct { unsigned pid; ull bytes; unsigned gpu_instance, compute_instance; } Process;
static int processes_of(Device *d, const char *key, unsigned *count, Process *out) {
    int code;
    const char *at = text_of(d, key, &code);
    unsigned found = 0, room = out ? *count : 0;
    for (; at && *at && *at != ',' && *at != '-'; at += strcspn(at, ";,"), at += *at == ';') {
        if (found < room) {
            char *end;
            out[found].pid = (unsigned)strtoul(at, &end, 10);
            out[found].bytes = end[1] == 'n' ? ~0ull : strtoull(end + 1, NULL, 10);
            out[found].gpu_instance = out[found].compute_instance = ~0u;
        }
        found++;
    }
    if (!at) return code;
    *count = found;
    if (found <= room) return OK;
    find(d, key)->calls--; /* asking for the size is half a call */
    return TOO_SMALL;
}
#define PROCESSES(call, key) \
    int call(Device *d, unsigned *count, Process *out) { return processes_of(d, key, count, out); }
#ifndef OLD_DRIVER
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, "mps")
#endif
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics")

typedef struct { unsigned pid; ull at; unsigned sm, memory, encoder, decoder; } Use;
int nvmlDeviceGetProcessUtilization(Device *d, Use *out, unsigned *count, ull since) {
    struct timeval now;
    int code;
    const char *at = text_of(d, "process_use", &code);
    unsigned found = 0;
    (void)since;
    gettimeofday(&now, NULL);
    for (; at && *at && *at != ','; at += strcspn(at, ";,"), at += *at == ';') {
        if (out && found < *count) {
            Use *use = &out[found];
            sscanf(at, "%u:%u:%u:%u:%u", &use->pid, &use->sm, &use->memory, &use->encoder,
                   &use->decoder);
            use->at = now.tv_sec * 1000000ull + now.tv_usec;
        }
        found++;
    }
    if (!at) return code;
    if (!found) return NOT_FOUND;
    code = out && found <= *count ? OK : TOO_SMALL;
    if (code == TOO_SMALL) find(d, "process_use")->calls--;
    *count = found;
    return code;
}

/* ---- MIG */
int nvmlDeviceGetMaxMigDeviceCount(Device *d, unsigned *out) {
    return unsigned_of(d, "mig_max", out);
}
int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned index, Device **out) {
    if (index >= MIGS) return INVALID;
    *out = &devices[MANY + (d - devices) * MIGS + index];
    return find(*out, "uuid") ? OK : NOT_FOUND;
}
UNSIGNED(nvmlDeviceGetGpuInstanceId, "gpu_instance")
UNSIGNED(nvmlDeviceGetComputeInstanceId, "compute_instance")
