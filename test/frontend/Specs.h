// Programs for the tests of Sema and of the importer: what is most likely to go wrong beside the programs of language.md.
#pragma once
#include "frontend/Parser.h"
#include "frontend/Sema.h"
#include <map>
#include <string>

namespace rondo::frontend::test {

/// What analysis gave for one text. `errors` is "slug line:column message" per error.
struct Checked {
  SourceManager sources;
  Diagnostics diagnostics;
  std::unique_ptr<TypedModel> model;
  std::string errors;
  const Value &value(const std::string &equation) const;
  const State &state(const std::string &name) const;
};

/// Parses and analyses `text`; `files` are what it may import.
std::unique_ptr<Checked> check(const std::string &text, const std::map<std::string, std::string> &files = {},
                               const std::string &model = "");

/// Name and text.
const std::map<std::string, std::string> &specs();

} // namespace rondo::frontend::test
