"""Libraries of Debian's that are linked in two ways: as most programs do, and from their archives."""

# Without "absl_".
ABSL = [
    "bad_optional_access",
    "bad_variant_access",
    "base",
    "city",
    "civil_time",
    "cord",
    "cord_internal",
    "cordz_functions",
    "cordz_handle",
    "cordz_info",
    "debugging_internal",
    "demangle_internal",
    "exponential_biased",
    "graphcycles_internal",
    "hash",
    "hashtablez_sampler",
    "int128",
    "log_severity",
    "low_level_hash",
    "malloc_internal",
    "random_distributions",
    "random_internal_platform",
    "random_internal_pool_urbg",
    "random_internal_randen",
    "random_internal_randen_hwaes",
    "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow",
    "random_internal_seed_material",
    "random_seed_gen_exception",
    "random_seed_sequences",
    "raw_hash_set",
    "raw_logging_internal",
    "spinlock_wait",
    "stacktrace",
    "status",
    "statusor",
    "str_format_internal",
    "strerror",
    "strings",
    "strings_internal",
    "symbolize",
    "synchronization",
    "throw_delegate",
    "time",
    "time_zone",
]

GRPC = [
    "grpc++",
    "grpc",
    "address_sorting",
    "re2",
    "upb",
    "cares",
    "z",
    "gpr",
]

# Before all other link options of a program: takes these from their archives, and what comes after them only where
# something of it is still missing. To load and bind some seventy libraries takes 9 ms at each start. What is taken is
# for the program alone: the libraries that are loaded after all would look through 23,000 names for each of theirs, and
# find zlib's, which are another copy's.
FROM_ARCHIVES = [
    "-Wl,--push-state",
    "-Wl,-Bstatic",
    "-Wl,--start-group",
    "-lldns",
    "-lprotobuf",
    "-lsqlite3",
    "-lstdc++",
    "-lyaml-cpp",
] + ["-l" + name for name in GRPC] + ["-labsl_" + name for name in ABSL] + [
    "-Wl,--end-group",
    "-Wl,--pop-state",
    "-Wl,--exclude-libs,ALL",
    "-Wl,--as-needed",
    "-Wl,--gc-sections",
]
