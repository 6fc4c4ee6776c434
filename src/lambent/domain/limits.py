"""Lambda's quotas as numbers (AWS page "Lambda quotas"; aws-facts §2). Each carries its unit in its name."""

from __future__ import annotations

ZIP_UPLOAD_MAX_BYTES = 52_428_800
UNZIPPED_MAX_BYTES = 262_144_000
CREATE_FUNCTION_REQUEST_MAX_BYTES = 70_167_211

SYNC_PAYLOAD_MAX_BYTES = 6_291_456
"""Of a request."""
SYNC_RESPONSE_MAX_BYTES = 6_291_556
"""Of a response; AWS reports this odd figure."""
STREAMED_RESPONSE_MAX_BYTES = 209_715_200
"""Of a streamed response: 200 MB."""
STREAMED_BURST_BYTES = 6_291_456
"""What of a streamed response is neither priced nor, where bandwidth is limited, slowed."""
ASYNC_PAYLOAD_MAX_BYTES = 1_048_576
CLIENT_CONTEXT_MAX_BYTES = 3_583

ENVIRONMENT_MAX_BYTES = 4_096
INIT_MAX_S = 10.0
PROVISIONED_INIT_MAX_S = 900.0
"""Environments that no invocation waits for may take longer."""
RESTORE_MAX_S = 10.0
"""From a snapshot to the runtime's first request, after-restore hooks included."""
OPEN_FILES_MAX = 1_024
PROCESSES_MAX = 1_024
LOG_TAIL_MAX_BYTES = 4_096
MB_PER_VCPU = 1_769.0
TAGS_MAX = 50
LOG_LINE_MAX_BYTES = 262_144
"""A longer line is split, as CloudWatch Logs' event limit asks for."""

MEMORY_MAX_MB = 10_240
TIMEOUT_MAX_S = 900
EPHEMERAL_STORAGE_DEFAULT_MB = 512
EPHEMERAL_STORAGE_MAX_MB = 10_240
LAYERS_MAX = 5
RESOURCE_POLICY_MAX_BYTES = 20_480
FUNCTION_NAME_MAX = 64
CODE_STORAGE_MAX_BYTES = 322_122_547_200
"""Of an account in a region: 300 GB."""
PACKAGE_ENTRIES_MAX = 100_000
"""Files and directories of a deployment package. AWS publishes no such figure; without one, a small zip could
ask for millions of files."""
PACKAGE_PATH_MAX_BYTES = 1_024
PACKAGE_NAME_MAX_BYTES = 255
"""Of one component of a path, as file systems have it."""
LIST_FUNCTIONS_MAX = 50
ALIASES_MAX = 10_000
"""Of a function. AWS has a limit and does not publish it."""
UNRESERVED_CONCURRENCY_MIN = 100
"""What the functions of an account without a reservation always keep to share."""
CODE_SIGNING_CONFIGS_MAX = 100
"""Of an account in a region."""
JSON_DEPTH_MAX = 1_000
"""Of an invocation's payload."""
CODE_LINK_VALID_S = 600
"""How long ``Code.Location`` of GetFunction works."""
