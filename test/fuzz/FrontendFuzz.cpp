// The frontend on arbitrary bytes: it must neither crash, leak nor loop, and what it accepts must print stably and
// survive Sema.
#include "frontend/AstPrinter.h"
#include "frontend/Diagnostic.h"
#include "frontend/Parser.h"
#include "frontend/Sema.h"
#include <cstdio>
#include <cstdlib>

using namespace rondo::frontend;

static void fail(const char *what, const std::string &a, const std::string &b) {
  std::fprintf(stderr, "%s\n--- first\n%s\n--- second\n%s\n", what, a.c_str(), b.c_str());
  std::abort();
}

static void checkPrinting(const File &file) {
  std::string once = print(file);
  SourceManager sources;
  Diagnostics diagnostics;
  File again = parse(sources, sources.add("printed.rondo", once), diagnostics);
  if (!diagnostics.all().empty())
    fail("printed text does not parse", once, render(diagnostics.all()[0], sources, false));
  if (std::string twice = print(again); twice != once)
    fail("printing is not stable", once, twice);
}

static void showAll(const Diagnostics &diagnostics, const SourceManager &sources) {
  for (const Diagnostic &diagnostic : diagnostics.all())
    if (render(diagnostic, sources, true).empty() || diagnostic.slug.empty())
      std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  SourceManager sources;
  Diagnostics diagnostics;
  uint32_t id = sources.add("fuzz.rondo", std::string(reinterpret_cast<const char *>(data), size));
  File file = parse(sources, id, diagnostics);
  if (!diagnostics.hasErrors()) {
    checkPrinting(file);
    if (!analyze(sources, id, file, SemaOptions{}, diagnostics) && !diagnostics.hasErrors())
      std::abort();
  }
  showAll(diagnostics, sources);
  return 0;
}
