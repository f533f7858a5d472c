// Fragment tables and shared tiles: every element in exactly one place, and what the tables say follows from them.
#include "compiler/Target/CUDA/Fragment.h"
#include "compiler/Target/CUDA/TilePlan.h"
#include <catch2/catch.hpp>
#include <map>
#include <set>

using namespace rondo::cuda;

static std::string name(Operand operand) { return operand == Operand::A ? "A" : operand == Operand::B ? "B" : "C"; }

TEST_CASE("Every element of an operand is in one register of one lane", "[fragment]") {
  const MatrixInstruction &instruction = mmaM16N8K16();
  for (Operand operand : {Operand::A, Operand::B, Operand::C}) {
    INFO(name(operand));
    std::set<std::pair<int64_t, int64_t>> seen;
    for (int64_t lane = 0; lane < 32; ++lane)
      for (size_t core = 0; core < instruction.cores(operand).size(); ++core)
        for (int64_t which : {0, 1}) {
          Place place = instruction.place(operand, core, which, lane);
          CHECK(place.row >= 0);
          CHECK(place.row < instruction.rows(operand));
          CHECK(place.column >= 0);
          CHECK(place.column < instruction.columns(operand));
          CHECK(seen.insert({place.row, place.column}).second);
        }
    CHECK(static_cast<int64_t>(seen.size()) == instruction.rows(operand) * instruction.columns(operand));
  }
}

TEST_CASE("The table of m16n8k16 is the one of the PTX manual", "[fragment]") {
  // PTX ISA 9.7.14.5.8: for lane l, group g = l / 4 and t = l % 4.
  const MatrixInstruction &instruction = mmaM16N8K16();
  for (int64_t lane = 0; lane < 32; ++lane) {
    int64_t g = lane / 4, t = lane % 4;
    for (int64_t i = 0; i < 8; ++i) { // a_i: row g, or g + 8 for i in 2, 3, 6, 7; column 2t + i & 1, + 8 for i >= 4
      Place expected{g + ((i / 2) % 2 ? 8 : 0), 2 * t + i % 2 + (i >= 4 ? 8 : 0)};
      CHECK(instruction.place(Operand::A, i / 2, i % 2, lane) == expected);
    }
    for (int64_t i = 0; i < 4; ++i) // b_i: row 2t + i & 1, + 8 for i >= 2; column g
      CHECK(instruction.place(Operand::B, i / 2, i % 2, lane) == Place{2 * t + i % 2 + (i >= 2 ? 8 : 0), g});
    for (int64_t i = 0; i < 4; ++i) // c_i: row g, + 8 for i >= 2; column 2t + i & 1
      CHECK(instruction.place(Operand::C, i / 2, i % 2, lane) == Place{g + (i >= 2 ? 8 : 0), 2 * t + i % 2});
  }
}

TEST_CASE("Accumulators beside each other are the next product's operand", "[fragment]") {
  const MatrixInstruction &instruction = mmaM16N8K16();
  auto asA = accumulatorsAsA(instruction), asB = accumulatorsAsB(instruction);
  REQUIRE(asA);
  REQUIRE(asB);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t which : {0, 1}) {
      for (size_t core = 0; core < asA->size(); ++core) {
        Chained from = (*asA)[core];
        Place place = instruction.place(Operand::C, from.core, which, lane);
        place.column += from.accumulator * instruction.n;
        CHECK(place == instruction.place(Operand::A, core, which, lane));
      }
      for (size_t core = 0; core < asB->size(); ++core) {
        Chained from = (*asB)[core];
        Place place = instruction.place(Operand::C, from.core, which, lane);
        place.column += from.accumulator * instruction.n;
        CHECK(Place{place.column, place.row} == instruction.place(Operand::B, core, which, lane));
      }
    }
}

TEST_CASE("An instruction whose accumulators are laid out otherwise says so", "[fragment]") {
  MatrixInstruction turned = mmaM16N8K16();
  for (Core &core : turned.c)
    core.transposed = true;
  CHECK(!accumulatorsAsA(turned));
}

TEST_CASE("Shared tiles: every element has a place of its own, and eight rows of a unit lie in different banks",
          "[fragment]") {
  for (int64_t columns : {16, 32, 64, 128, 192, 256}) {
    INFO(columns << " columns");
    REQUIRE(SharedTile::fits(columns));
    SharedTile tile{0, 64, columns};
    std::set<int64_t> seen;
    for (int64_t row = 0; row < tile.rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t at = tile.at(row, column);
        CHECK(at >= 0);
        CHECK(at < tile.bytes());
        seen.insert(at);
        CHECK(at == tile.at(row, column / 8 * 8) + 2 * (column % 8)); // 16 bytes stay together
      }
    CHECK(static_cast<int64_t>(seen.size()) == tile.rows * columns);
    for (int64_t row = 0; row < tile.rows; row += 8)
      for (int64_t unit = 0; unit < tile.units(); ++unit) {
        std::set<int64_t> banks; // groups of four banks
        for (int64_t i = 0; i < 8; ++i)
          banks.insert(tile.at(row + i, 8 * unit) / 16 % 8);
        CHECK(banks.size() == 8);
      }
  }
  CHECK(!SharedTile::fits(48));
}

TEST_CASE("Shared tiles in panels lie as the hardware swizzles them", "[fragment]") {
  for (int64_t columns : {16, 32, 64, 128, 192}) {
    INFO(columns << " columns");
    const SharedTile tile{0, 64, columns, /*inPanels=*/true};
    const int64_t width = std::min<int64_t>(columns, 64), pitch = 2 * width;
    std::set<int64_t> seen;
    for (int64_t row = 0; row < tile.rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        // Rows of a panel behind each other; bits 4 to 6 of an address are exchanged by bits 7 to 9, as many as a row has units.
        int64_t at = column / width * pitch * tile.rows + row * pitch + 2 * (column % width);
        at ^= at >> 3 & (pitch / 16 - 1) << 4;
        CHECK(tile.at(row, column) == at);
        seen.insert(at);
      }
    CHECK(static_cast<int64_t>(seen.size()) == tile.rows * columns);
    CHECK(*seen.rbegin() < tile.bytes());
  }
}

TEST_CASE("Shared tiles: rows of a block whose numbers agree in a bit lie in different banks", "[fragment]") {
  for (int64_t columns : {64, 128, 192, 256}) {
    INFO(columns << " columns");
    SharedTile tile{0, 64, columns};
    for (int64_t block = 0; block < tile.rows; block += 16)
      for (int64_t bit : {0, 1, 2, 3})
        for (int64_t value : {0, 1}) {
          std::set<int64_t> banks;
          for (int64_t row = block; row < block + 16; ++row)
            if ((row >> bit & 1) == value)
              banks.insert(tile.at(row, 0) / 16 % 8);
          CHECK(banks.size() == 8);
        }
    for (int64_t apart : {8, 16, 24})
      for (int64_t unit : {0, 2, 4, 6}) { // two units of each of two rows
        std::set<int64_t> banks;
        for (int64_t row : {int64_t(0), apart})
          for (int64_t each : {unit, unit + 1})
            banks.insert(tile.at(row, 8 * each) / 16 % 8);
        CHECK(banks.size() == 4);
      }
  }
}
