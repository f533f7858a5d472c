// wgmma: products of four warps, whose operand B, and A where it is not in registers, lies in shared memory and is described by a number
// (PTX ISA 9.7.15). A warp has 16 of the 64 rows, so that each does its own part here. What is asynchronous is done when it is waited for,
// and what a program must not do before is an error:
// - registers: accumulators are touched by nobody before wgmma.wait_group, operands not changed; wgmma.fence stands between what others
//   do to registers and the product that has them; products on their way share accumulators where they have the same columns alone
// - memory: who has written what is read has done fence.proxy.async since, and all that holds for other reads
#include "test/emulator/Operations.h"
#include <cmath>
#include <fmt/format.h>

namespace rondo::emulator {
namespace {

/// Where an operand's parts stand: accumulators, A, B's descriptor, the predicate, two signs, and what is transposed.
struct Layout {
  explicit Layout(const Instruction &i)
      : isAInMemory(i.count % 4 == 3), accumulators(size_t(i.count) - (isAInMemory ? 7 : 9)) {}
  bool isAInMemory;
  size_t accumulators;
  size_t columns() const { return 2 * accumulators; }
  size_t a() const { return accumulators; }
  size_t b() const { return accumulators + (isAInMemory ? 1 : 4); }
  size_t adds() const { return b() + 1; }
  size_t transposed() const { return b() + 4; } // of A first where it is in memory, then of B
};

/// A descriptor of shared memory, taken apart.
struct Described {
  explicit Described(uint64_t bits)
      : start(uint32_t(bits & 0x3fff) << 4), leading(uint32_t(bits >> 16 & 0x3fff) << 4),
        stride(uint32_t(bits >> 32 & 0x3fff) << 4), base(uint32_t(bits >> 49 & 7)), mode(uint32_t(bits >> 62)) {}
  uint32_t start, leading, stride, base, mode;
  /// Units of 16 bytes that a row of the pattern has: 1 without exchange.
  uint32_t units() const { return mode == 0 ? 1 : 16u >> mode; }
  uint32_t exchanged(uint32_t at) const { return at ^ (at >> 3 & 16 * (units() - 1)); }
};

/// 16 bytes of shared memory for a product.
const uint16_t *readUnit(Warp &warp, uint32_t address) {
  const Block &block = *warp.block;
  for (uint32_t i = address / 2; i < address / 2 + 8 && i < block.accesses.size(); ++i) {
    const Access &access = block.accesses[i];
    if (access.epoch < block.firstEpoch)
      continue;
    const Warp &writer = block.warps[access.writer / 32];
    if (writer.proxyFences[access.writer % 32] == access.proxyFences)
      warp.fail(fmt::format("thread {} has written byte {} of shared memory without fence.proxy.async behind it",
                            access.writer, 2 * i));
  }
  return reinterpret_cast<const uint16_t *>(warp.shared(address, 16, false, 0));
}

/// `count` of an operand's rows (of A) or columns (of B), 16 elements of each. `isTransposed`: these lie beside each other in memory.
template <class T>
std::vector<std::array<float, 16>> fetch(Warp &warp, uint64_t descriptor, bool isTransposed, uint32_t first,
                                         uint32_t count) {
  const Described at(descriptor);
  const uint32_t units = at.units(), pitch = 16 * units;
  if (at.base)
    warp.fail("a descriptor with a base offset is not supported");
  std::vector<std::array<float, 16>> values(count);
  const auto aligned = [&](uint32_t group) {
    if (at.mode && group & (8 * pitch - 1) & ~127u)
      warp.fail(fmt::format("a group of 8 rows at {}, which is no multiple of {}", group, 8 * pitch));
    return group;
  };
  const auto unit = [&](uint32_t address, auto place) {
    const uint16_t *elements = readUnit(warp, at.exchanged(address));
    for (uint32_t e = 0; e < 8; ++e)
      place(e) = halfOf<T>(elements[e], 0);
  };
  for (uint32_t k = 0; isTransposed && k < 16; ++k)
    for (uint32_t n = first; n < first + count; n += 8) {
      const uint32_t inner = n / 8 % units * 16 + k % 8 * pitch;
      const uint32_t outer =
          at.mode ? n / 8 / units * at.leading + k / 8 * at.stride : n / 8 * at.stride + k / 8 * at.leading;
      unit(aligned(at.start + outer) + inner, [&](uint32_t e) -> float & { return values[n - first + e][k]; });
    }
  for (uint32_t n = first; !isTransposed && n < first + count; ++n)
    for (uint32_t half = 0; half < 2; ++half)
      unit(aligned(at.start + n / 8 * at.stride) + n % 8 * pitch + half * (at.mode ? 16 : at.leading),
           [&](uint32_t e) -> float & { return values[n - first][8 * half + e]; });
  return values;
}

template <class T> std::vector<std::array<float, 16>> rowsOfA(Warp &warp, const GroupProduct &product) {
  const Instruction &i = *product.instruction;
  const Layout layout(i);
  if (layout.isAInMemory)
    return fetch<T>(warp, product.a, *read<uint32_t>(warp, i.operand(layout.transposed())), warp.first / 32 % 4 * 16,
                    16);
  std::vector<std::array<float, 16>> a(16);
  for (size_t lane = 0; lane < 32; ++lane)
    for (size_t r = 0; r < 4; ++r) {
      const uint32_t bits = product.fragments[32 * r + lane];
      if (read<uint32_t>(warp, i.operand(layout.a() + r))[lane] != bits)
        warp.fail(fmt::format("an operand of the product at line {} changes before it is waited for", i.line));
      for (size_t h = 0; h < 2; ++h)
        a[lane / 4 + 8 * (r % 2)][2 * (lane % 4) + 8 * (r / 2) + h] = halfOf<T>(bits, int(h));
    }
  return a;
}

template <class T> void finish(Warp &warp, const GroupProduct &product) {
  const Instruction &i = *product.instruction;
  const Layout layout(i);
  const auto a = rowsOfA<T>(warp, product);
  const size_t bIs = layout.transposed() + layout.isAInMemory;
  const auto b = fetch<T>(warp, product.b, *read<uint32_t>(warp, i.operand(bIs)), 0, uint32_t(layout.columns()));
  for (size_t r = 0; r < layout.accumulators; ++r) {
    auto *sums = write<float>(warp, i.operand(r));
    for (size_t lane = 0; lane < 32; ++lane) {
      const auto &row = a[lane / 4 + r % 4 / 2 * 8], &column = b[r / 4 * 8 + 2 * (lane % 4) + r % 2];
      float sum = product.adds ? sums[lane] : 0;
      for (size_t k = 0; k < 16; ++k)
        sum = std::fma(row[k], column[k], sum);
      sums[lane] = sum;
    }
  }
}

/// The same number in all lanes.
uint64_t uniform(const Warp &warp, uint32_t operand) {
  const uint64_t *lanes = read<uint64_t>(warp, operand);
  for (size_t lane = 1; lane < 32; ++lane)
    if (lanes[lane] != lanes[0])
      warp.fail("lanes of a warp have different descriptors");
  return lanes[0];
}

/// The registers that a product takes.
void takeRegisters(Warp &warp, const Instruction &i, const Layout &layout) {
  for (size_t r = 0; r < layout.accumulators; ++r) {
    RegisterUse &use = warp.uses[i.operand(r)];
    if (use.touched > warp.fenced)
      warp.fail("an accumulator was touched since the last wgmma.fence");
    if (use.columns && use.columns != layout.columns())
      warp.fail("an accumulator of products on their way that have other columns");
    use.columns = uint16_t(layout.columns());
  }
  for (size_t r = 0; !layout.isAInMemory && r < 4; ++r) {
    const RegisterUse &use = warp.uses[i.operand(layout.a() + r)];
    if (use.written > warp.fenced)
      warp.fail("an operand was written since the last wgmma.fence");
    if (use.columns)
      warp.fail("an operand is the accumulator of a product on its way");
  }
}

Step issue(Warp &warp, const Instruction &i, uint32_t) {
  const Layout layout(i);
  if (warp.block->warps.size() % 4 || warp.alive != ~0u)
    warp.fail("wgmma wants four whole warps");
  takeRegisters(warp, i, layout);
  GroupProduct product;
  product.instruction = &i;
  product.b = uniform(warp, i.operand(layout.b()));
  product.adds = warp.predicates[i.operand(layout.adds())];
  if (layout.isAInMemory)
    product.a = uniform(warp, i.operand(layout.a()));
  for (size_t r = 0; !layout.isAInMemory && r < 4; ++r) {
    const uint32_t *lanes = read<uint32_t>(warp, i.operand(layout.a() + r));
    product.fragments.insert(product.fragments.end(), lanes, lanes + 32);
  }
  auto &together = warp.block->products[warp.first / 128];
  const std::pair<uint32_t, uint64_t> here(i.line, product.b);
  if (warp.issued == together.size())
    together.push_back(here);
  else if (together[warp.issued] != here)
    warp.fail(fmt::format("another warp of the four has the product at line {} here", together[warp.issued].first));
  ++warp.issued;
  warp.products.back().push_back(std::move(product));
  return Step::Next;
}

Step fence(Warp &warp, const Instruction &, uint32_t) {
  warp.fenced = warp.clock;
  return Step::Next;
}

Step commit(Warp &warp, const Instruction &, uint32_t) {
  warp.products.emplace_back();
  return Step::Next;
}

Step wait(Warp &warp, const Instruction &i, uint32_t) {
  warp.finishProducts(*read<uint32_t>(warp, i.operands[0]));
  return Step::Next;
}

} // namespace

void Warp::noteRegisters(const Instruction &instruction) {
  ++clock;
  if (instruction.traffic.traffic == Traffic::GroupProduct)
    return;
  for (int n = 0; n < std::min<int>(instruction.count, int(instruction.operands.size())); ++n) {
    const uint32_t o = instruction.operands[size_t(n)];
    if (instruction.banks[size_t(n)] != Bank::B32 || o & kConstant)
      continue;
    RegisterUse &use = uses[o];
    if (use.columns)
      fail("an accumulator of a product that has not been waited for");
    use.touched = clock;
    if (n < instruction.results)
      use.written = clock;
  }
}

void Warp::finishProducts(size_t left) {
  while (products.size() > left + 1) {
    for (const GroupProduct &product : products.front())
      product.instruction->traffic.bytes == 1 ? finish<_Float16>(*this, product) : finish<BFloat>(*this, product);
    for (const GroupProduct &product : products.front())
      for (size_t r = 0; r < Layout(*product.instruction).accumulators; ++r)
        uses[product.instruction->operand(r)].columns = 0;
    products.erase(products.begin());
  }
  for (const auto &group : products)
    for (const GroupProduct &product : group)
      for (size_t r = 0; r < Layout(*product.instruction).accumulators; ++r)
        uses[product.instruction->operand(r)].columns = uint16_t(Layout(*product.instruction).columns());
}

void addWarpgroups(Table &table) {
  table["wgmma.fence.sync.aligned"] = {&fence, true};
  table["wgmma.commit_group.sync.aligned"] = {&commit, true};
  table["wgmma.wait_group.sync.aligned"] = {&wait, true};
  for (int columns = 8; columns <= 256; columns += 8)
    for (const char *type : {"bf16", "f16"})
      table[fmt::format("wgmma.mma_async.sync.aligned.m64n{}k16.f32.{}.{}", columns, type, type)] = {&issue, true};
}

} // namespace rondo::emulator
