// What the lanes of a warp, or the warps of a block or cluster, do together: barriers, exchanges, matrix fragments.
#include "test/emulator/Operations.h"
#include <cmath>

namespace rondo::emulator {
namespace {

Step meet(Warp &, const Instruction &, uint32_t) { return Step::Next; }

Step syncBlock(Warp &warp, const Instruction &, uint32_t) {
  warp.isAtBarrier = true;
  ++warp.block->arrived;
  warp.block->release();
  return Step::Next;
}

Step waitForGrids(Warp &warp, const Instruction &, uint32_t) {
  warp.hasWaited = true;
  return Step::Next;
}

Step goOn(Warp &, const Instruction &, uint32_t) { return Step::Next; }

Step arriveAtCluster(Warp &warp, const Instruction &, uint32_t) {
  ++warp.arrivals;
  return Step::Next;
}

/// Until all warps of its cluster have arrived as often. Where the whole grid waits for each other, `blocks` are those of all clusters.
Step waitForCluster(Warp &warp, const Instruction &, uint32_t) {
  const uint32_t size = warp.kernel().clusterBlocks;
  Cluster &cluster = *warp.block->cluster;
  const uint32_t first = (warp.block->number - cluster.blocks.front()->number) / size * size;
  for (uint32_t i = first; i < first + size; ++i)
    for (const Warp &other : cluster.blocks[i]->warps)
      if (other.alive && other.arrivals < warp.arrivals)
        return Step::Blocked;
  return Step::Next;
}

enum class Direction { Butterfly, Up, Down, Index };

/// shfl.sync.<mode>.b32 d[|p], a, b, c, members
template <Direction direction> Step shuffle(Warp &warp, const Instruction &i, uint32_t mask) {
  const int extra = i.count == 6;
  std::array<uint32_t, 32> value;
  const uint32_t *in = read<uint32_t>(warp, i.operands[size_t(1 + extra)]);
  const uint32_t *by = read<uint32_t>(warp, i.operands[size_t(2 + extra)]);
  const uint32_t *control = read<uint32_t>(warp, i.operands[size_t(3 + extra)]);
  uint32_t inRange = 0;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t segment = (control[lane] >> 8) & 31, clamp = control[lane] & 31, b = by[lane] & 31;
    const int lowest = int(lane & segment), limit = int((lane & segment) | (clamp & ~segment));
    int from = 0;
    bool isIn = false;
    switch (direction) {
    case Direction::Up:
      from = int(lane) - int(b);
      isIn = from >= limit;
      break;
    case Direction::Down:
      from = int(lane + b);
      isIn = from <= limit;
      break;
    case Direction::Butterfly:
      from = int(lane ^ b);
      isIn = from <= limit;
      break;
    case Direction::Index:
      from = lowest | int(b & ~segment);
      isIn = from <= limit;
      break;
    }
    value[lane] = in[isIn ? from : int(lane)];
    inRange |= uint32_t(isIn) << lane;
  }
  uint32_t *out = write<uint32_t>(warp, i.operands[0]);
  forLanes(mask, [&](int lane) { out[lane] = value[size_t(lane)]; });
  if (extra)
    warp.predicates[i.operands[1]] = inRange;
  return Step::Next;
}

/// D = A B + C of 16 x 8 x 16, fragments as the manual lays them out: lane 4 g + t holds rows g and g + 8, columns 2 t, 2 t + 1, and 8 on.
template <class T> Step multiply(Warp &warp, const Instruction &i, uint32_t) {
  float a[16][16], b[16][8], c[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int r = 0; r < 4; ++r)
      for (int h = 0; h < 2; ++h)
        a[g + 8 * (r % 2)][t + 8 * (r / 2) + h] = halfOf<T>(read<uint32_t>(warp, i.operands[size_t(4 + r)])[lane], h);
    for (int r = 0; r < 2; ++r)
      for (int h = 0; h < 2; ++h)
        b[t + 8 * r + h][g] = halfOf<T>(read<uint32_t>(warp, i.operands[size_t(8 + r)])[lane], h);
    for (int r = 0; r < 4; ++r)
      c[g + 8 * (r / 2)][t + r % 2] = read<float>(warp, i.operands[size_t(10 + r)])[lane];
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 16; ++k)
      for (int column = 0; column < 8; ++column)
        c[row][column] = std::fma(a[row][k], b[k][column], c[row][column]);
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r)
      write<float>(warp, i.operands[size_t(r)])[lane] = c[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2];
  return Step::Next;
}

/// Four 8 x 8 matrices of 16 bits; lanes 8 m to 8 m + 7 give the addresses of the rows of matrix m.
template <bool isTransposed, bool isStore> Step moveMatrices(Warp &warp, const Instruction &i, uint32_t) {
  for (int m = 0; m < i.count; ++m) {
    uint16_t tile[8][8];
    uint8_t *rows[8];
    for (int row = 0; row < 8; ++row)
      rows[row] = warp.shared(warp.address(i.addresses[0], 8 * m + row), 16, isStore, 8 * m + row);
    const auto element = [&](int lane, int h) -> uint16_t & {
      return isTransposed ? tile[2 * (lane % 4) + h][lane / 4] : tile[lane / 4][2 * (lane % 4) + h];
    };
    if (isStore) {
      const uint32_t *in = read<uint32_t>(warp, i.operands[size_t(m)]);
      for (int lane = 0; lane < 32; ++lane)
        for (int h = 0; h < 2; ++h)
          element(lane, h) = uint16_t(in[lane] >> (16 * h));
      for (int row = 0; row < 8; ++row)
        __builtin_memcpy(rows[row], tile[row], 16);
    } else {
      for (int row = 0; row < 8; ++row)
        __builtin_memcpy(tile[row], rows[row], 16);
      uint32_t *out = write<uint32_t>(warp, i.operands[size_t(m)]);
      for (int lane = 0; lane < 32; ++lane)
        out[lane] = element(lane, 0) | uint32_t(element(lane, 1)) << 16;
    }
  }
  return Step::Next;
}

Step transposeMatrix(Warp &warp, const Instruction &i, uint32_t) {
  uint16_t tile[8][8];
  const uint32_t *in = read<uint32_t>(warp, i.operands[1]);
  for (int lane = 0; lane < 32; ++lane)
    for (int h = 0; h < 2; ++h)
      tile[lane / 4][2 * (lane % 4) + h] = uint16_t(in[lane] >> (16 * h));
  uint32_t *out = write<uint32_t>(warp, i.operands[0]);
  for (int lane = 0; lane < 32; ++lane)
    out[lane] = tile[2 * (lane % 4)][lane / 4] | uint32_t(tile[2 * (lane % 4) + 1][lane / 4]) << 16;
  return Step::Next;
}

Step commitCopies(Warp &warp, const Instruction &, uint32_t) {
  warp.groups.emplace_back();
  return Step::Next;
}

Step waitForCopies(Warp &warp, const Instruction &i, uint32_t) {
  warp.finishCopies(*read<uint32_t>(warp, i.operands[0]));
  return Step::Next;
}

} // namespace

void addCollectives(Table &table) {
  const auto put = [&](const char *opcode, Handler handler) { table[opcode] = {handler, true}; };
  put("bar.warp.sync", &meet);
  put("bar.sync", &syncBlock);
  put("barrier.sync", &syncBlock);
  put("barrier.cluster.arrive.release", &arriveAtCluster);
  put("barrier.cluster.arrive.release.aligned", &arriveAtCluster);
  put("barrier.cluster.wait.acquire", &waitForCluster);
  put("barrier.cluster.wait.acquire.aligned", &waitForCluster);
  put("griddepcontrol.wait", &waitForGrids);
  put("griddepcontrol.launch_dependents", &goOn);
  put("shfl.sync.bfly.b32", &shuffle<Direction::Butterfly>);
  put("shfl.sync.up.b32", &shuffle<Direction::Up>);
  put("shfl.sync.down.b32", &shuffle<Direction::Down>);
  put("shfl.sync.idx.b32", &shuffle<Direction::Index>);
  put("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", &multiply<BFloat>);
  put("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", &multiply<_Float16>);
  for (const char *count : {"x1", "x2", "x4"}) {
    const std::string shape = "matrix.sync.aligned.m8n8." + std::string(count);
    put(("ld" + shape + ".shared.b16").c_str(), &moveMatrices<false, false>);
    put(("ld" + shape + ".trans.shared.b16").c_str(), &moveMatrices<true, false>);
    put(("st" + shape + ".shared.b16").c_str(), &moveMatrices<false, true>);
    put(("st" + shape + ".trans.shared.b16").c_str(), &moveMatrices<true, true>);
  }
  put("movmatrix.sync.aligned.m8n8.trans.b16", &transposeMatrix);
  put("cp.async.commit_group", &commitCopies);
  put("cp.async.wait_group", &waitForCopies);
}

} // namespace rondo::emulator
