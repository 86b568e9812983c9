"""C++ from .proto files, with Debian's protoc and gRPC plugin."""

def certcast_cc_proto(name, srcs, deps = [], services = False, visibility = None):
    """Makes the cc_library `name` from .proto files whose imports start at //proto.

    Args:
      name: of the library; its headers are included as "certcast/v1/x.pb.h".
      srcs: .proto files below the package //proto.
      deps: other certcast_cc_proto targets whose files these import.
      services: also make the gRPC stubs. Keep files that include those few: they are slow to compile.
      visibility: as everywhere.
    """
    suffixes = [".pb.h", ".pb.cc"] + ([".grpc.pb.h", ".grpc.pb.cc"] if services else [])
    outs = [src[:-len(".proto")] + suffix for src in srcs for suffix in suffixes]
    plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(RULEDIR)" if services else ""
    native.genrule(
        name = name + "_generate",
        srcs = srcs + [dep + "_sources" for dep in deps],
        outs = outs,
        cmd = "/usr/bin/protoc -Iproto --cpp_out=$(RULEDIR) %s %s" % (
            plugin,
            " ".join(["$(location %s)" % src for src in srcs]),
        ),
    )
    native.filegroup(
        name = name + "_sources",
        srcs = srcs + [dep + "_sources" for dep in deps],
    )
    native.cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        # Generated code is not held to our warnings.
        copts = ["-w"],
        includes = ["."],
        visibility = visibility,
        deps = deps + ["//third_party:protobuf"] + (["//third_party:grpc"] if services else []),
    )
