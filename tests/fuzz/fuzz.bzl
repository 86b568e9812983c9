"""Fuzz targets."""

def fuzz_target(name, srcs, deps, corpus = []):
    """Makes NAME_corpus_test, a test of every build, and NAME_fuzzer, which tests/fuzz.sh builds and runs.

    Args:
      name: of the target.
      srcs: define the functions of target.h.
      deps: of srcs, beside target.h.
      corpus: inputs as files, beside the target's seeds.
    """
    native.cc_library(
        name = name,
        testonly = True,
        srcs = srcs,
        deps = deps + [
            ":target",
            "//third_party:absl",
        ],
    )
    native.cc_test(
        name = name + "_corpus_test",
        size = "small",
        srcs = ["corpus_test.cc"],
        args = ["$(locations %s)" % file for file in corpus],
        data = corpus,
        deps = [
            ":" + name,
            ":target",
            "//third_party:absl",
            "//third_party:gtest",
        ],
    )
    native.cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        srcs = ["libfuzzer_main.cc"],
        linkopts = ["-fsanitize=fuzzer"],
        # GCC has no libFuzzer.
        tags = ["manual"],
        deps = [
            ":" + name,
            ":target",
            "//third_party:absl",
            "//third_party:protobuf",
        ],
    )
