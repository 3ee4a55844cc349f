"""What a kernel is for, and its precision, by the names that the libraries really give."""

import pytest

from infertune_probes.profiler.chrome_trace import Span
from infertune_probes.profiler.kinds import kind_of_device_event, precision_of_kernel


def kernel(name: str) -> Span:
    return Span(name=name, category="kernel", start=0.0, end=1.0, lane=("0", "7"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("void flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128, 64, 4>>", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16", "attention"),
        ("void flashinfer::BatchDecodeWithPagedKVCacheKernel<2u, 8u>", "attention"),
        ("void flashinfer::BatchPrefillWithRaggedKVCacheKernel<1u>", "attention"),
        # One library, and most of its kernels are no attention.
        ("void flashinfer::norm::RMSNormKernel<8u, __nv_bfloat16>", "reduction"),
        ("void flashinfer::activation::act_and_mul_kernel<__half>", "pointwise"),
        ("void flashinfer::sampling::TopKTopPSamplingFromProbKernel<512u>", "reduction"),
        ("void flashinfer::BatchQKApplyRotaryPosIdsCosSinCacheKernel<true>", "pointwise"),
        ("void vllm::reshape_and_cache_flash_kernel<__half>", "pointwise"),
        ("void vllm::convert_fp8_kernel<unsigned char, __half>", "pointwise"),
        ("void vllm::cross_device_reduce_1stage<__half, 2>", "collective"),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", "collective"),
        ("void marlin::Marlin<__half, 256, 1, 8, 8, 4, 8>", "gemm"),
        ("fused_moe_kernel", "gemm"),
        ("nvjet_tst_128x256_64x4_2x1_v_bz_TNT", "gemm"),
        ("void cudnn::winograd_nonfused::winogradForwardData4x4", "convolution"),
    ],
)
def test_the_kind_of_a_kernel(name: str, kind: str) -> None:
    assert kind_of_device_event(kernel(name)) == kind


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        # A T4 has no TF32: its half-precision products go by the same step as Ampere's TF32.
        ("turing_fp16_s1688gemm_fp16_128x128_ldg8_f2f_nn", "fp16"),
        ("cutlass_75_tensorop_s1688gemm_f16_256x128_nn_align8", "fp16"),
        ("cutlass_80_tensorop_s1688gemm_128x128_16x5_nn_align4", "tf32"),
        ("cutlass_80_tensorop_h16816gemm_64x64_32x6_tn_align8", "fp16"),
        ("ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_tn", "bf16"),
        ("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize128x128x32", "tf32"),
        ("ampere_sgemm_128x64_tn", "fp32"),
    ],
)
def test_the_precision_of_a_kernel(name: str, precision: str) -> None:
    assert precision_of_kernel(name) == precision
