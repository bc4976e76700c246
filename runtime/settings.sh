# shellcheck shell=sh
# Written by runtime/generate.py from seedbed/settings.py: change that instead.
setting OMP_DYNAMIC 'FALSE' 'FALSE'
setting MKL_DYNAMIC 'FALSE' 'FALSE'
setting CUBLAS_WORKSPACE_CONFIG ':4096:8' ':4096:8'
setting NCCL_ALGO 'Ring' 'Ring'
setting NCCL_NVLS_ENABLE '0' '0'
setting TORCHINDUCTOR_DETERMINISTIC '1' '1'
setting TORCHINDUCTOR_SHAPE_PADDING '0' '0'
setting TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK '0' '0'
setting FLASH_ATTENTION_DETERMINISTIC '1' '1'
setting NVTE_ALLOW_NONDETERMINISTIC_ALGO '0' ''
setting TF_DETERMINISTIC_OPS '1' ''
setting XLA_FLAGS '--xla_gpu_deterministic_ops=true' ''
