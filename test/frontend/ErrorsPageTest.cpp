// The page of errors is true: every example gives the error that stands below it, and the page and the sources know the same slugs.
#include "frontend/Parser.h"
#include "frontend/Sema.h"
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

using namespace rondo::frontend;
namespace fs = std::filesystem;

namespace {

struct Entry {
  std::string slug, program, expected;
  bool cause = false, cure = false;
};

std::string read(const fs::path &path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Entry> readPage() {
  std::vector<Entry> entries;
  std::istringstream page(read(fs::path(RONDO_SOURCE_DIR) / "frontend/errors.md"));
  std::string *block = nullptr;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("### `", 0) == 0)
      entries.push_back({line.substr(5, line.rfind('`') - 5), "", ""});
    else if (entries.empty())
      continue;
    else if (line == "```rondo")
      block = &entries.back().program;
    else if (line == "```text")
      block = &entries.back().expected;
    else if (line == "```")
      block = nullptr;
    else if (block)
      *block += line + "\n";
    else {
      entries.back().cause |= line.rfind("Cause: ", 0) == 0;
      entries.back().cure |= line.rfind("Cure: ", 0) == 0;
    }
  }
  return entries;
}

/// "line:column: error: message" and the slug of the first error.
std::pair<std::string, Diagnostic> firstError(const std::string &program) {
  SourceManager sources;
  Diagnostics diagnostics;
  uint32_t id = sources.add("example.rondo", program);
  File file = parse(sources, id, diagnostics);
  if (!diagnostics.hasErrors())
    analyze(sources, id, file, {}, diagnostics);
  if (diagnostics.all().empty())
    return {"no error", {}};
  const Diagnostic &first = diagnostics.all()[0];
  std::string line = render(first, sources, false);
  line = line.substr(0, line.find('\n'));
  line = line.substr(line.find(':') + 1);
  return {line.substr(0, line.rfind(" [")), first};
}

/// Every slug that the frontend's sources report: the quoted words between `error(` (or the parser's `expected(`) and its
/// first comma.
std::set<std::string> slugsInSources() {
  std::set<std::string> slugs;
  std::regex call(R"(\b(?:error|warning|expected)\(([^,;]*),)"), word(R"re("([a-z0-9]+(?:-[a-z0-9]+)*)")re");
  for (const auto &entry : fs::directory_iterator(fs::path(RONDO_SOURCE_DIR) / "frontend")) {
    if (entry.path().extension() != ".cpp")
      continue;
    std::string text = read(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), call), end; it != end; ++it) {
      std::string first = (*it)[1];
      for (std::sregex_iterator found(first.begin(), first.end(), word); found != end; ++found)
        slugs.insert((*found)[1]);
    }
  }
  return slugs;
}

} // namespace

TEST_CASE("every example on the page of errors gives its error", "[errors]") {
  std::vector<Entry> entries = readPage();
  REQUIRE(entries.size() > 50);
  for (const Entry &entry : entries) {
    INFO(entry.slug << "\n" << entry.program);
    auto [line, error] = firstError(entry.program);
    CHECK(line + "\n" == entry.expected);
    CHECK(error.slug == entry.slug);
    // "expected ..., got ..." says the cure itself.
    CHECK((!error.notes.empty() || error.message.rfind("expected ", 0) == 0));
    CHECK(entry.cause);
    CHECK(entry.cure);
  }
}

TEST_CASE("the page of errors and the sources have the same slugs", "[errors]") {
  std::set<std::string> page;
  for (const Entry &entry : readPage()) {
    INFO(entry.slug << " has one entry");
    CHECK(page.insert(entry.slug).second);
  }
  std::set<std::string> sources = slugsInSources();
  for (const std::string &slug : sources) {
    INFO(slug << " is reported by frontend/*.cpp");
    CHECK(page.count(slug));
  }
  for (const std::string &slug : page) {
    INFO(slug << " is on the page");
    CHECK(sources.count(slug));
  }
}
