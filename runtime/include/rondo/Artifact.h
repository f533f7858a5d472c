// Compiled models outside of the compiler: what a cache keeps, and what is compiled ahead of time and shipped. Reading, choosing and
// loading need no compiler and no LLVM.
#pragma once
#include "rondo/Kernel.h"
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace rondo {

/// A program with its code, for one target and one plan.
struct Variant {
  std::string target;     // "cpu:x86-64-v3", "cuda:sm_90a"; "cpu" is the machine that compiled it
  std::string plan;       // as CompileOptions::plan says it
  Program program;        // without addresses, image and device
  std::string code;       // cpu: a relocatable object; cuda: PTX, as joinImage writes it
  std::string splitCode;  // cpu: the object of the launches' second functions, where there are some
  std::string cubin = {}; // cuda: machine code for the target, as packCubins writes it; empty where there is PTX alone
};

/// What decides which variant is fastest: how many sequences a call has, heads counted (batch * heads, or packed sequences * heads), and how
/// long they are.
struct CallSizes {
  int64_t rows = 1, time = 1;
};

/// "For calls of about these sizes, this variant."
struct Choice {
  CallSizes sizes;
  size_t variant = 0;
};

/// A file that a compile read or looked for: the hash of its text, empty where there was none.
struct FileSeen {
  std::string path, hash;
};

struct Artifact {
  std::string compiler; // the version that made it
  std::string key;      // everything that the code depends on, beside `files`
  std::vector<FileSeen> files;
  std::vector<Variant> variants;
  std::vector<Choice> choices;

  std::string toBytes() const;
  /// Fails where the bytes are damaged, of another format version, or describe no program.
  static Result<Artifact> fromBytes(std::string_view bytes);
  /// The file appears whole or not at all.
  Result<void> write(const std::string &path) const;
  static Result<Artifact> read(const std::string &path);

  /// The variant whose choice is nearest to the sizes, of those that run on `device` ("cpu" on this processor; "cuda:sm_90" on a GPU of
  /// that architecture). Fails where none does.
  Result<const Variant *> choose(std::string_view device, CallSizes sizes) const;
  /// Its kernel on this processor.
  Result<Kernel> loadOnHost(CallSizes sizes) const;
  /// Its kernel on a GPU.
  Result<Kernel> loadOnGpu(CallSizes sizes, int ordinal = 0) const;
};

/// Whether this processor runs code for "x86-64", "x86-64-v2", "x86-64-v3" or "x86-64-v4".
bool hostRuns(std::string_view level);

/// Maps an object into this process and gives the program with its functions. `splitCode` makes the object of the second functions when one
/// is first wanted, perhaps by several threads at once; it is called once. It may be empty.
Result<std::shared_ptr<const Program>> loadHostCode(Program program, std::string_view object,
                                                    std::function<Result<std::string>()> splitCode);

/// The texts of an image in one, with a zero byte between two, and an image of "cuda:sm_90a" from that.
std::string joinImage(const DeviceImage &image);
std::shared_ptr<const DeviceImage> splitImage(std::string_view target, std::string_view code);

/// Several cubins in one, each after its length, and back. Whatever the bytes are, what is cut off is left out.
std::string packCubins(const std::vector<std::string> &cubins);
std::vector<std::string> unpackCubins(std::string_view packed);
/// Whether machine code for "cuda:sm_86" runs on a GPU "cuda:sm_89": those of one generation run what older ones of it do. PTX runs on all
/// newer ones.
bool runsMachineCode(std::string_view target, std::string_view device);

/// 32 hexadecimal digits (XXH3, 128 bits): names contents, and is no protection against forgery.
std::string contentHash(std::string_view text);

} // namespace rondo
