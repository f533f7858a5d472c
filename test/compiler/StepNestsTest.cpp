// The plan of a step: which values share a sweep, which have memory, where states lie. A plan is written as one line per nest:
//   [4,3+] S>state p sum>output
// is a sweep over 4 x 3 elements, of which the second axis is summed over; it computes the value of equation S into the new state
// and the sum p into an output. A value in brackets, (S), is copied from memory. "p sum+sum" adds two sums into one, "; y" follows
// the finished sums in registers.
#include "compiler/Target/CPU/StepNests.h"
#include "compiler/Pipeline/Phases.h"
#include "compiler/Target/CPU/NestTiling.h"
#include "dialects/Chunk/Chunk.h"
#include "frontend/Import.h"
#include "frontend/Parser.h"
#include "frontend/Sema.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace mlir;
using namespace rondo;
using cpu::StateStorage;

namespace {

std::string nameOf(Value value) {
  auto name = value.getDefiningOp() ? value.getLoc()->findInstanceOf<NameLoc>() : NameLoc();
  if (isa<BlockArgument>(value))
    return "arg" + std::to_string(cast<BlockArgument>(value).getArgNumber());
  return name ? name.getName().str() : "_";
}

/// The model of `text`, through phase set-precision, and the plan of its first scan.
struct Planned {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  frontend::SourceManager sources;
  OwningOpRef<ModuleOp> module;
  std::optional<cpu::StepNests> plan;

  /// With `chunk` through phase form, and the plan of so many steps at once.
  Planned(const std::string &text, std::map<std::string, int64_t> dims, int64_t chunk = 0) {
    frontend::Diagnostics diagnostics;
    uint32_t file = sources.add("test.rondo", text);
    frontend::File tree = frontend::parse(sources, file, diagnostics);
    auto model = frontend::analyze(sources, file, tree, {}, diagnostics);
    REQUIRE(model);
    module = frontend::importModel(*model, sources, context);
    REQUIRE(module);
    PhaseOptions options;
    options.dims = std::move(dims);
    options.form = chunk ? "chunk" : options.form;
    options.chunk = chunk;
    for (const Phase &phase : cpuPhases()) {
      REQUIRE(succeeded(runPhase(phase, *module, options)));
      if (phase.name == std::string(chunk ? "form" : "set-precision"))
        break;
    }
    auto function = *module->getOps<func::FuncOp>().begin();
    if (chunk) {
      auto scan = *function.getOps<chunk::ScanOp>().begin();
      plan.emplace(recur::Step(scan, &scan.getChunk().front()));
      return;
    }
    plan.emplace(*function.getOps<recur::ScanOp>().begin());
  }

  std::string statement(const cpu::Statement &statement) const {
    std::string text = (statement.afterSums ? "; " : "") + nameOf(statement.value);
    if (plan->readsItself(statement))
      text = "(" + text + ")";
    for (size_t term = 0; term < statement.terms.size(); ++term)
      text += term ? "+sum" : " sum";
    const char *kinds[] = {"scratch", "state", "output"};
    for (const cpu::Destination &to : statement.destinations) {
      text += std::string(">") + kinds[to.kind];
      if (to.axis >= 0)
        text += "@" + std::to_string(to.offset);
      if (to.row >= 0)
        text += "[" + std::to_string(to.row) + "]";
    }
    return text;
  }
  std::vector<std::string> lines(const std::vector<cpu::Nest> &nests) const {
    std::vector<std::string> result;
    for (const cpu::Nest &nest : nests) {
      std::string line = "[";
      for (const cpu::NestDim &dim : nest.dims)
        line += (line.size() > 1 ? "," : "") + std::to_string(dim.extent) + (dim.reduction ? "+" : "");
      line += "]";
      for (const cpu::Statement &one : nest.statements)
        if (!one.destinations.empty() || one.isReduction())
          line += " " + statement(one);
      result.push_back(line);
    }
    return result;
  }
  std::vector<std::string> step() const { return lines(plan->nests); }
  std::vector<std::string> before() const { return lines(plan->prologue); }
  std::vector<StateStorage> states() const { return {plan->states.begin(), plan->states.end()}; }
};

std::string example(const std::string &name) {
  std::ifstream in(std::filesystem::path(RONDO_SOURCE_DIR) / "examples" / (name + ".rondo"));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

using Lines = std::vector<std::string>;
using States = std::vector<StateStorage>;

} // namespace

TEST_CASE("gla: one sweep over the state, which is updated in place", "[step-nests]") {
  Planned gla(example("gla"), {{"K", 5}, {"V", 3}});
  // The gates' exponentials are computed once per row and not once per element, so they are stored.
  CHECK(gla.step() == Lines{"[5] _>scratch", "[5+,3] S>state o sum>output"});
  CHECK(gla.states() == States{StateStorage::InPlace});
}

TEST_CASE("two rows of gla: one sweep over the state, and none over what is read of it", "[step-nests]") {
  Planned gla(example("gla"), {{"K", 5}, {"V", 3}}, 2);
  // The gates, queries and keys as they decay, and the scores; then what is read, added up in registers, and the new state.
  CHECK(gla.step() == Lines{"[5+] _>scratch _>scratch _>scratch _>scratch _ sum>scratch _ sum>scratch",
                            "[5+] _ sum>scratch", "[3,5+] _ sum _ sum ; _>output[0] ; _>output[1] _>state"});
  CHECK(gla.states() == States{StateStorage::InPlace});
}

TEST_CASE("deltanet: the old state is read before the sweep that writes it", "[step-nests]") {
  Planned deltanet(example("deltanet"), {{"K", 5}, {"V", 3}});
  // The norm of k, the normed k, k @ S[t-1], and the update with its readout.
  CHECK(deltanet.step() ==
        Lines{"[5+] _ sum>scratch", "[5] kh>scratch", "[3,5+] _ sum>scratch", "[5+,3] S>state o sum>output"});
  CHECK(deltanet.states() == States{StateStorage::InPlace});
}

TEST_CASE("lstm: sums over one space are one sweep, gates and both states another", "[step-nests]") {
  Planned lstm(example("lstm"), {{"D", 5}, {"H", 4}});
  // Vectors run along the sums here, so that the gates would be computed one by one behind them.
  CHECK(lstm.step() == Lines{"[4,5+] _ sum>scratch _ sum>scratch _ sum>scratch _ sum>scratch",
                             "[4,4+] _ sum>scratch _ sum>scratch _ sum>scratch _ sum>scratch",
                             "[4] c>state h>state>output"});
  // All sums over the old h come before the sweep that writes the new one.
  CHECK(lstm.states() == States{StateStorage::InPlace, StateStorage::InPlace});
}

TEST_CASE("what follows a sum at its own element is done in registers", "[step-nests]") {
  Planned update(R"(model m<C, K, V> {
    input k: [K, C]
    input v: [C, V]
    input p: [K]
    state S: [K, V] = 0
    S[t] = diag(p[t]) @ S[t-1] + k[t] @ v[t]
    output S
  })",
                 {{"C", 3}, {"K", 5}, {"V", 8}});
  CHECK(update.step() == Lines{"[5,8,3+] _ sum ; S>state>output"});
  // The old state is read when the sums are finished, where the new one is written.
  CHECK(update.states() == States{StateStorage::InPlace});

  // Along the sums there are no vectors for an exponential, but an addition is little work.
  Planned layer(R"(model m<D, H> {
    input x: [D]
    param W: [H, D]
    param b: [H]
    y[t] = W @ x[t] + b
    z[t] = exp(W @ x[t])
    output y, z
  })",
                {{"D", 8}, {"H", 5}});
  CHECK(layer.step() == Lines{"[5,8+] _ sum>scratch ; y>output", "[5] z>output"});
}

TEST_CASE("a sum that is read at another element has memory", "[step-nests]") {
  Planned model(R"(model m<D> {
    input x: [D]
    param W: [D, D]
    s[t] = x[t] @ W
    y[t] = s[t] / sum(s[t])
    output y
  })",
                {{"D", 8}});
  CHECK(model.step() == Lines{"[8,8+] s sum>scratch", "[8+] _ sum>scratch", "[8] y>output"});
}

TEST_CASE("two products that are added up share their running sums", "[step-nests]") {
  const char *text = R"(model m<C, E, K, V> {
    input q: [C, K]
    input k: [K, C]
    input A: [C, E]
    input v: [E, V]
    input w: [C, V]
    input p: [K]
    state S: [K, V] = 0
    S[t] = diag(p[t]) @ S[t-1] + k[t] @ w[t]
    o[t] = tanh(q[t] @ S[t-1] + A[t] @ v[t])
    output o
  })";
  Planned model(text, {{"C", 3}, {"E", 6}, {"K", 5}, {"V", 8}});
  // The readout of the old state goes before the update, which is written after it, so that the update is in place.
  CHECK(model.step() == Lines{"[3,8,5+,6+] _ sum+sum ; o>output", "[5,8,3+] _ sum ; S>state"});
  CHECK(model.states() == States{StateStorage::InPlace});
}

TEST_CASE("states that are read further back are rings", "[step-nests]") {
  Planned skip(example("skip_gru"), {{"D", 5}, {"H", 3}, {"p", 2}});
  CHECK(skip.states() == States{StateStorage::Ring});
  Planned lagged(example("short_convolution"), {{"D", 5}});
  CHECK(lagged.states() == States{StateStorage::Ring});
  CHECK(lagged.step() == Lines{"[5] y>output (arg0)>state"});
}

TEST_CASE("what depends on parameters alone is computed before the first step", "[step-nests]") {
  Planned model(R"(model m<D> {
    input x: []
    param W: [D, D]
    param w: [D]
    c[t] = W @ w
    y[t] = x[t] * tanh(c[t])
    output y
  })",
                {{"D", 4}});
  CHECK(model.before() == Lines{"[4,4+] c sum>scratch", "[4] _>scratch"});
  CHECK(model.step() == Lines{"[4] y>output"});
}

TEST_CASE("a value that is used where it is computed has no memory", "[step-nests]") {
  Planned model(R"(model m<D> {
    input x: [D]
    a[t] = exp(x[t])
    b[t] = a[t] * a[t] + tanh(a[t])
    output b
  })",
                {{"D", 4}});
  CHECK(model.step() == Lines{"[4] b>output"});
}

TEST_CASE("a part of an array is swept on its own", "[step-nests]") {
  Planned model(R"(model m<H> {
    input x: [2 * H]
    a[t] = exp(x[t])
    b[t] = a[t][0:H] + 1
    output a, b
  })",
                {{"H", 4}});
  CHECK(model.step() == Lines{"[8] a>scratch>output", "[4] b>output"});
}

TEST_CASE("pieces of a concatenation are written where they belong", "[step-nests]") {
  Planned model(R"(model m<D, H> {
    input x: [D]
    param W: [H, D]
    y[t] = concat(exp(x[t]), W @ x[t])
    output y
  })",
                {{"D", 4}, {"H", 3}});
  CHECK(model.step() == Lines{"[3,4+] _ sum>scratch", "[4] _>scratch@0", "[3] (_)>scratch@4", "[7] (y)>output"});
}

TEST_CASE("an old state that a sum reads beside an update without it is kept", "[step-nests]") {
  Planned model(R"(model m<K, V> {
    input q, k: [K]
    input v: [V]
    state S: [K, V] = 0
    S[t] = outer(k[t], v[t])
    p[t] = q[t] @ S[t]
    o[t] = q[t] @ S[t-1]
    output p, o
  })",
                {{"K", 5}, {"V", 3}});
  CHECK(model.states() == States{StateStorage::Ring});
  Planned decayed(R"(model m<K, V> {
    input q, k: [K]
    input v: [V]
    state S: [K, V] = 0
    S[t] = 0.5 * S[t-1] + outer(k[t], v[t])
    p[t] = q[t] @ S[t]
    o[t] = q[t] @ S[t-1]
    output p, o
  })",
                  {{"K", 5}, {"V", 3}});
  CHECK(decayed.states() == States{StateStorage::InPlace});
}

TEST_CASE("a sum does not overwrite the state that is read behind it", "[step-nests]") {
  Planned model(R"(model m<K> {
    input x: [K]
    param w, u: []
    state h: [] = 0
    h[t] = x[t] @ x[t]
    y[t] = w * h[t] + u * h[t-1]
    output y
  })",
                {{"K", 3}});
  // Sums are written when they are finished, before what follows them in registers reads.
  CHECK(model.step() == Lines{"[3+] h sum>state ; y>output"});
  CHECK(model.states() == States{StateStorage::Ring});
}

TEST_CASE("states that change places do so in one sweep", "[step-nests]") {
  Planned model(R"(model m<D> {
    input x: [D]
    state a: [D] = 1
    state b: [D] = 2
    a[t] = b[t-1]
    b[t] = a[t-1]
    y[t] = a[t] * x[t]
    output y
  })",
                {{"D", 4}});
  CHECK(model.step() == Lines{"[4] y>output (arg2)>state (arg1)>state"});
  CHECK(model.states() == States{StateStorage::InPlace, StateStorage::InPlace});
}

TEST_CASE("over two axes every step's states are kept", "[step-nests]") {
  Planned grid(example("md_rnn"), {{"D", 5}, {"H", 3}});
  CHECK(grid.states() == States{StateStorage::History});
}

TEST_CASE("a product with a matrix and one with its transpose are two sweeps", "[step-nests]") {
  // Vectors run along the columns of S in both: in one they are sums, in the other they are summed over.
  Planned planned(R"(model m<C, N> {
    input x, y: [C, N]
    input S: [N, N]
    a[t] = x[t] @ S[t]
    b[t] = y[t] @ transpose(S[t])
    output a, b
  })",
                  {{"C", 16}, {"N", 64}});
  CHECK(planned.step() == Lines{"[16,64,64+] a sum>output", "[16,64,64+] b sum>output"});
}

TEST_CASE("products are cut into tiles of rows and vectors", "[step-nests]") {
  auto product = [](int64_t rows, int64_t sum, int64_t columns) {
    return Planned(R"(model m<C, K, V> {
      input q: [C, K]
      input S: [K, V]
      o[t] = q[t] @ S[t]
      output o
    })",
                   {{"C", rows}, {"K", sum}, {"V", columns}});
  };
  // Dimensions of the nest: rows, columns, the sum, and the rows of a batch tile.
  auto tile = [&](int64_t rows, int64_t sum, int64_t columns, cpu::TilingTarget target) {
    Planned planned = product(rows, sum, columns);
    cpu::NestTiling tiling = cpu::chooseTiling(*planned.plan, planned.plan->nests.front(), target);
    CHECK(tiling.vectorDim == 1);
    return std::vector<int64_t>(tiling.unroll.begin(), tiling.unroll.end());
  };
  using Tile = std::vector<int64_t>;
  const cpu::TilingTarget avx2{8, 16, 1}, avx512{16, 32, 1};
  // 12 sums, 2 vectors and a factor that is repeated: 15 of 16 registers. 16 rows are 6, 5 and 5.
  CHECK(tile(16, 128, 128, avx2) == Tile{6, 2, 2, 1});
  CHECK(tile(128, 16, 128, avx2) == Tile{6, 2, 2, 1});
  CHECK(tile(8, 64, 64, avx2) == Tile{4, 3, 2, 1});
  // Sums enough to cover the latency of an addition, whatever the shape.
  CHECK(tile(1, 64, 128, avx2) == Tile{1, 8, 2, 1});
  CHECK(tile(64, 64, 8, avx2) == Tile{8, 1, 2, 1});
  CHECK(tile(16, 128, 128, avx512) == Tile{6, 4, 2, 1});
}

TEST_CASE("what stays the same in a loop needs no register", "[step-nests]") {
  // Sums of four rows, new states of as many vectors, and old ones: with two vectors of each, most of the rows' values are read from memory again.
  Planned gla(example("gla"), {{"K", 64}, {"V", 64}}, 4);
  auto vectors = [&](cpu::TilingTarget target) {
    return cpu::chooseTiling(*gla.plan, gla.plan->nests.back(), target).unroll[0];
  };
  CHECK(vectors({8, 16, 1}) == 2);
  CHECK(vectors({16, 32, 1}) == 2);
}

TEST_CASE("no more rows of matrices are read side by side than the hardware reads ahead", "[step-nests]") {
  auto tile = [](int64_t size, cpu::TilingTarget target) {
    Planned planned(R"(model m<D> {
      input x: [D]
      param A, B, C, E: [D, D]
      a[t] = A @ x[t]
      b[t] = B @ x[t]
      c[t] = C @ x[t]
      e[t] = E @ x[t]
      output a, b, c, e
    })",
                    {{"D", size}});
    const cpu::NestTiling tiling = cpu::chooseTiling(*planned.plan, planned.plan->nests.front(), target);
    CHECK(tiling.vectorDim == 1);
    return tiling.unroll.front(); // rows of each of four matrices
  };
  CHECK(tile(1024, {16, 32, 1}) == 2);
  CHECK(tile(256, {16, 32, 1}) == 2);
  CHECK(tile(64, {16, 32, 1}) == 4); // short rows: four sums make a vector
  CHECK(tile(1024, {8, 16, 1}) <= 2);
}

TEST_CASE("the operand that is larger is read once", "[step-nests]") {
  Planned planned(R"(model m<C, K, V> {
    input q: [C, K]
    input S: [K, V]
    o[t] = q[t] @ S[t]
    output o
  })",
                  {{"C", 16}, {"K", 32}, {"V", 64}});
  // Behind the batch tile, S moves with V, which is the outer loop; rows of q come again for each of its panels.
  CHECK(cpu::chooseTiling(*planned.plan, planned.plan->nests.front(), {8, 16, 1}).parallel ==
        llvm::SmallVector<int>{3, 1, 0});
}

TEST_CASE("tiles are as even as can be", "[step-nests]") {
  using Tiles = llvm::SmallVector<std::pair<int64_t, int64_t>, 2>;
  CHECK(cpu::evenTiles(16, 6) == Tiles{{1, 6}, {2, 5}});
  CHECK(cpu::evenTiles(16, 4) == Tiles{{4, 4}});
  CHECK(cpu::evenTiles(7, 6) == Tiles{{1, 4}, {1, 3}});
  CHECK(cpu::evenTiles(3, 8) == Tiles{{1, 3}});
  CHECK(cpu::evenTiles(0, 8).empty());
}
