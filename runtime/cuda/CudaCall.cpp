// The memory of one call on a GPU: the caller's tensors where they lie there, copies of those on the host, defaults, and a workspace for
// what nobody gave. See CudaCode.h.
#include "runtime/core/Memory.h"
#include "runtime/core/Strided.h"
#include "runtime/cuda/CudaCode.h"
#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace rondo::cuda {
namespace {

size_t bytesOf(const Tensor &tensor) { return size_t(tensor.elements()) * sizeOf(tensor.type); }

Tensor contiguous(DType type, std::vector<int64_t> shape, Address address, int ordinal) {
  Tensor tensor{std::bit_cast<void *>(address), type, std::move(shape), {}, {Device::Kind::Cuda, ordinal}};
  std::vector<int64_t> strides;
  for (size_t i = 0; i < tensor.shape.size(); ++i)
    strides.push_back(tensor.stride(i));
  tensor.strides = std::move(strides);
  return tensor;
}

/// One call, step by step.
class CudaCall {
public:
  CudaCall(CudaCode &code, const Program &program, core::Binding &binding, const RunOptions &options)
      : code(code), device(code.device()), program(program), binding(binding),
        stream(static_cast<StreamHandle>(options.stream)), borrowed(!options.stream), tensors(program.tensors.size()) {}
  ~CudaCall() {
    for (const Address address : copies)
      device.release(address);
    if (borrowed && stream)
      device.returnStream(stream);
  }

  Result<void> run();

private:
  bool onHost(size_t i) const { return binding.tensors[i].device.kind == Device::Kind::Host; }
  Result<void> checkDevice(size_t i) const;
  Result<void> placeGiven(size_t i);
  Result<void> placeDefault(size_t i);
  Result<void> placeWorkspace();
  Result<void> placeAliases();
  Result<void> launch();
  bool mustSetAside(size_t i) const;
  Result<void> copyIn(size_t i);
  Result<void> copyOut();

  CudaCode &code;
  GpuDevice &device;
  const Program &program;
  core::Binding &binding;
  StreamHandle stream;
  bool borrowed;
  std::vector<Tensor> tensors; // on the device
  std::vector<Address> copies; // of host tensors
  std::vector<std::pair<size_t, Buffer>> back;
};

Result<void> CudaCall::checkDevice(size_t i) const {
  const Tensor &tensor = binding.tensors[i];
  if (tensor.device.kind == Device::Kind::Cuda && tensor.device.ordinal != device.info().ordinal)
    return Error(fmt::format("'{}' lies on GPU {}, the kernel is loaded on GPU {}", program.tensors[i].name,
                             tensor.device.ordinal, device.info().ordinal));
  if (onHost(i) && !borrowed)
    return Error(fmt::format("'{}' lies on the host; a call on the caller's stream takes tensors on GPU {} only",
                             program.tensors[i].name, device.info().ordinal));
  return {};
}

/// Host to device, contiguous, in the program's type.
Result<void> CudaCall::copyIn(size_t i) {
  const TensorSpec &spec = program.tensors[i];
  const Tensor &host = binding.tensors[i];
  Buffer packed;
  const void *from = host.data;
  if (host.type != spec.type) { // offsets that the caller has as i32
    packed = Buffer(spec.type, host.shape);
    for (int64_t n = 0; packed.data() && n < host.shape[0]; ++n)
      packed.as<int64_t>()[n] = static_cast<const int32_t *>(host.data)[n * host.stride(0)];
  } else if (!host.contiguous()) {
    packed = Buffer(spec.type, host.shape);
    if (packed.data())
      core::copyElements(host, packed.view());
  }
  if (host.type != spec.type || !host.contiguous()) {
    if (!packed.data())
      return Error(fmt::format("out of memory for a copy of '{}'", spec.name));
    from = packed.data();
  }
  // From pageable memory the driver has read all of it when the call returns; `packed` may go.
  const Status status = device.driver().cuMemcpyHtoDAsync_v2(reinterpret_cast<Address>(tensors[i].data), from,
                                                             bytesOf(tensors[i]), stream);
  Result<void> copied = device.check(status, fmt::format("copying '{}' to the device", spec.name));
  if (copied && packed.data())
    copied = device.check(device.driver().cuStreamSynchronize(stream), fmt::format("copying '{}'", spec.name));
  return copied;
}

/// An initial state whose memory is also the final one's, where it is still to be read after the final one was written.
bool CudaCall::mustSetAside(size_t i) const {
  const int final = program.tensors[i].kind == TensorKind::Init ? core::finalOf(program, int(i)) : -1;
  const int resets = core::findKind(program, TensorKind::Resets);
  return final >= 0 && binding.given[size_t(final)] && binding.tensors[size_t(final)].data == binding.tensors[i].data &&
         (countParts(program) > 1 || (resets >= 0 && binding.given[size_t(resets)]));
}

Result<void> CudaCall::placeGiven(size_t i) {
  if (const Result<void> fine = checkDevice(i); !fine)
    return fine;
  const Tensor &given = binding.tensors[i];
  if (!onHost(i)) {
    if (given.type != program.tensors[i].type)
      return Error(fmt::format("'{}' on a GPU must be {}", program.tensors[i].name, nameOf(program.tensors[i].type)));
    if (mustSetAside(i))
      return Error(fmt::format("'{}' shares its memory with its final state, but is still read after that is written; "
                               "give the final state memory of its own",
                               program.tensors[i].name));
    tensors[i] = given;
    return {};
  }
  const size_t bytes = size_t(given.elements()) * sizeOf(program.tensors[i].type);
  const Result<Address> address = device.allocate(bytes, fmt::format("a copy of '{}'", program.tensors[i].name));
  if (!address)
    return address.error();
  copies.push_back(*address);
  tensors[i] = contiguous(program.tensors[i].type, given.shape, *address, device.info().ordinal);
  return core::isInput(program.tensors[i].kind) && bytes ? copyIn(i) : Result<void>();
}

Result<void> CudaCall::placeDefault(size_t i) {
  const TensorSpec &spec = program.tensors[i];
  const std::vector<int64_t> shape = binding.fullShape(spec);
  const Result<Address> address = code.defaultOf(program, i, shape);
  if (!address)
    return address.error();
  tensors[i] = contiguous(spec.type, core::featureShapeOf(spec, shape), *address, device.info().ordinal);
  tensors[i].shape = shape;
  for (size_t a = 0; a < shape.size(); ++a)
    if (spec.axes[a].axis != Axis::Named)
      tensors[i].strides[a] = 0;
  return {};
}

/// Bytes of a temporary from which on it is worth finding out whether the call needs it.
constexpr size_t kLargeTemporary = size_t(64) << 20;

/// Outputs that nobody asked for, and temporaries, in one piece.
Result<void> CudaCall::placeWorkspace() {
  size_t bytes = 0;
  std::vector<std::pair<size_t, size_t>> places;
  std::vector<size_t> mine;
  bool isLarge = false;
  const auto take = [&](size_t size) {
    const size_t at = bytes;
    bytes += (size + 255) / 256 * 256;
    return at;
  };
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (binding.given[i] || core::rootOf(program, i) != int(i) || core::isInput(spec.kind))
      continue;
    tensors[i] = contiguous(spec.type, binding.fullShape(spec), 0, device.info().ordinal);
    mine.push_back(i);
    isLarge |= spec.kind == TensorKind::Temporary && bytesOf(tensors[i]) > kLargeTemporary;
  }
  // What lies between the launches of another way than the one that the call takes has no memory.
  std::vector<bool> used(tensors.size(), !isLarge);
  if (isLarge) {
    if (Result<void> seen = placeAliases(); !seen) // their rows may be aligned or not
      return seen;
    Result<std::vector<QueuedLaunch>> launches = chooseLaunches(program, tensors, binding.sizes, code.room());
    if (!launches)
      return launches.error();
    for (const QueuedLaunch &each : *launches)
      for (int operand : program.launches[each.number].operands)
        used[size_t(core::rootOf(program, size_t(operand)))] = true;
  }
  for (size_t i : mine)
    if (used[i] || program.tensors[i].kind != TensorKind::Temporary)
      places.emplace_back(i, take(bytesOf(tensors[i])));
  const Result<Address> address =
      bytes ? code.workspace(stream, CudaCode::Purpose::Tensors, bytes) : Result<Address>(Address(0));
  if (!address)
    return address.error();
  for (const auto &[i, at] : places)
    tensors[i].data = std::bit_cast<void *>(*address + at);
  return {};
}

Result<void> CudaCall::launch() {
  Result<std::vector<QueuedLaunch>> launches = chooseLaunches(program, tensors, binding.sizes, code.room());
  if (!launches)
    return launches.error();
  size_t bytes = 0;
  for (const QueuedLaunch &each : *launches)
    bytes = std::max(bytes, each.scratchBytes);
  const Result<Address> scratch =
      bytes ? code.workspace(stream, CudaCode::Purpose::Scratch, bytes) : Result<Address>(Address(0));
  return scratch ? code.launch(program, *launches, *scratch, stream) : scratch.error();
}

Result<void> CudaCall::placeAliases() {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t root = size_t(core::rootOf(program, i));
    if (root == i)
      continue;
    const TensorSpec &spec = program.tensors[i], &rootSpec = program.tensors[root];
    std::optional<Tensor> view = core::reshaped(rootSpec, tensors[root], spec, binding.fullShape(spec));
    if (!view)
      return Error(fmt::format(
          "'{}' is also read under another shape, so that its heads and features must be contiguous", rootSpec.name));
    tensors[i] = std::move(*view);
  }
  return {};
}

Result<void> CudaCall::copyOut() {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!binding.given[i] || !core::isOutput(program.tensors[i].kind) || !onHost(i) || !bytesOf(tensors[i]))
      continue;
    void *to = binding.tensors[i].data;
    if (!binding.tensors[i].contiguous()) {
      back.emplace_back(i, Buffer(tensors[i].type, tensors[i].shape));
      if (!(to = back.back().second.data()))
        return Error(fmt::format("out of memory for a copy of '{}'", program.tensors[i].name));
    }
    const Status status = device.driver().cuMemcpyDtoHAsync_v2(to, reinterpret_cast<Address>(tensors[i].data),
                                                               bytesOf(tensors[i]), stream);
    if (Result<void> copied = device.check(status, fmt::format("copying '{}' to the host", program.tensors[i].name));
        !copied)
      return copied;
  }
  Result<void> done =
      device.check(device.driver().cuStreamSynchronize(stream), fmt::format("running model '{}'", program.model));
  for (const auto &[i, buffer] : back)
    if (done)
      core::copyElements(buffer.view(), binding.tensors[i]);
  return done;
}

Result<void> CudaCall::run() {
  if (borrowed) {
    const Result<StreamHandle> lent = device.borrowStream();
    if (!lent)
      return lent.error();
    stream = *lent;
  }
  const GpuDevice::Current current(device);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorKind kind = program.tensors[i].kind;
    Result<void> placed;
    if (binding.given[i])
      placed = placeGiven(i);
    else if (kind == TensorKind::Init || kind == TensorKind::Resets)
      placed = placeDefault(i);
    if (!placed)
      return placed;
  }
  Result<void> done = placeWorkspace();
  if (done)
    done = placeAliases();
  if (done)
    done = launch();
  // The caller's stream is the caller's to wait for.
  return done && borrowed ? copyOut() : done;
}

} // namespace

Result<void> CudaCode::run(const Program &program, core::Binding &binding, const RunOptions &options) {
  return CudaCall(*this, program, binding, options).run();
}

} // namespace rondo::cuda
