// Mapping and relocating an object. See ObjectCode.h. Relocations are named as in the System V ABI for x86-64, chapter 4.4: S is a symbol's
// address, A the addend, P the place, G the place that holds a symbol's address, L a jump to it.
#include "runtime/core/ObjectCode.h"
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace rondo::core {
namespace {

constexpr size_t kMostBytes = size_t(1) << 30; // two places in the map can always reach each other

Error damaged(std::string_view what) { return Error(fmt::format("object code: {}", what)); }

/// A function of this process. Programs in C may not have linked the math library.
void *findInProcess(const char *name) {
  if (void *found = ::dlsym(RTLD_DEFAULT, name))
    return found;
  static void *const math = ::dlopen("libm.so.6", RTLD_NOW);
  return math ? ::dlsym(math, name) : nullptr;
}

size_t rounded(size_t size, size_t to) { return (size + to - 1) / to * to; }

/// The `count` entries of type T at `offset`, copied, since nothing says that they lie aligned.
template <typename T> bool readTable(std::string_view from, uint64_t offset, uint64_t count, std::vector<T> &table) {
  if (offset > from.size() || count > (from.size() - offset) / sizeof(T))
    return false;
  table.resize(count);
  if (count)
    std::memcpy(table.data(), from.data() + offset, count * sizeof(T));
  return true;
}

} // namespace

class ObjectLoader {
public:
  explicit ObjectLoader(std::string_view object) : object(object), code(new ObjectCode) {}

  Result<std::shared_ptr<const ObjectCode>> load() {
    for (auto step : {&ObjectLoader::readTables, &ObjectLoader::place, &ObjectLoader::fill, &ObjectLoader::resolve,
                      &ObjectLoader::relocateAll, &ObjectLoader::protect})
      if (Result<void> done = (this->*step)(); !done)
        return done.error();
    return std::shared_ptr<const ObjectCode>(code);
  }

private:
  /// Pages of one kind, in this order in the map.
  enum Kind { Executable, Constant, Writable, kKinds };
  static constexpr size_t kStubBytes = 8;

  Result<void> readTables();
  Result<void> place();
  Result<void> fill();
  Result<void> resolve();
  Result<void> relocateAll();
  Result<void> relocate(const Elf64_Rela &entry, size_t target);
  Result<void> protect();

  static Kind kindOf(const Elf64_Shdr &section) {
    return section.sh_flags & SHF_EXECINSTR ? Executable : section.sh_flags & SHF_WRITE ? Writable : Constant;
  }
  static bool isLoaded(const Elf64_Shdr &section) {
    return (section.sh_flags & SHF_ALLOC) && section.sh_type != SHT_X86_64_UNWIND && section.sh_size > 0;
  }
  /// Text that ends inside the table of names; empty where it does not.
  static std::string nameAt(std::string_view names, uint64_t offset) {
    const size_t end = offset < names.size() ? names.find('\0', offset) : std::string_view::npos;
    return end == std::string_view::npos ? "" : std::string(names.substr(offset, end - offset));
  }
  uint64_t gotOf(size_t symbol) const { return uint64_t(code->memory + gotOffset + symbol * sizeof(uint64_t)); }
  uint64_t stubOf(size_t symbol) const { return uint64_t(code->memory + stubOffset + symbol * kStubBytes); }

  std::string_view object, names;
  std::shared_ptr<ObjectCode> code;
  std::vector<Elf64_Shdr> sections;
  std::vector<std::string> sectionNames;
  std::vector<Elf64_Sym> symbols;
  std::vector<uint64_t> addresses; // of the symbols
  std::vector<size_t> offsets;     // of the sections in the map
  size_t begins[kKinds + 1] = {};  // of the kinds
  size_t gotOffset = 0, stubOffset = 0;
};

Result<void> ObjectLoader::readTables() {
  Elf64_Ehdr header;
  if (object.size() < sizeof header)
    return damaged("too short");
  std::memcpy(&header, object.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_REL || header.e_machine != EM_X86_64 ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return damaged("not a relocatable object for x86-64");
  if (!readTable(object, header.e_shoff, header.e_shnum, sections))
    return damaged("its sections lie outside of it");
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type != SHT_SYMTAB)
      continue;
    if (!symbols.empty() || section.sh_link >= sections.size() ||
        !readTable(object, section.sh_offset, section.sh_size / sizeof(Elf64_Sym), symbols))
      return damaged("its symbols lie outside of it");
    const Elf64_Shdr &strings = sections[section.sh_link];
    if (strings.sh_offset > object.size() || strings.sh_size > object.size() - strings.sh_offset)
      return damaged("its names lie outside of it");
    names = object.substr(strings.sh_offset, strings.sh_size);
  }
  return {};
}

Result<void> ObjectLoader::place() {
  size_t end = 0;
  const size_t page = size_t(::sysconf(_SC_PAGESIZE));
  offsets.assign(sections.size(), 0);
  for (int kind = 0; kind < kKinds; ++kind) {
    begins[kind] = end = rounded(end, page);
    for (size_t i = 0; i < sections.size(); ++i) {
      const Elf64_Shdr &section = sections[i];
      if (!isLoaded(section) || kindOf(section) != kind)
        continue;
      if (section.sh_flags & SHF_TLS || section.sh_type == SHT_INIT_ARRAY || section.sh_type == SHT_FINI_ARRAY)
        return damaged("it has thread-local variables or constructors");
      const size_t alignment = std::max<size_t>(1, section.sh_addralign);
      if (alignment > page || (alignment & (alignment - 1)) || section.sh_size > kMostBytes)
        return damaged("a section's size or alignment is out of range");
      offsets[i] = end = rounded(end, alignment);
      end += section.sh_size;
      if (end > kMostBytes)
        return damaged("it is too large");
    }
    if (kind == Executable) {
      stubOffset = rounded(end, kStubBytes);
      end = stubOffset + symbols.size() * kStubBytes;
    } else if (kind == Constant) {
      gotOffset = rounded(end, sizeof(uint64_t));
      end = gotOffset + symbols.size() * sizeof(uint64_t);
    }
  }
  begins[kKinds] = code->bytes = rounded(std::max<size_t>(end, 1), page);
  void *memory = ::mmap(nullptr, code->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return Error("out of memory for machine code");
  code->memory = static_cast<char *>(memory);
  return {};
}

Result<void> ObjectLoader::fill() {
  for (size_t i = 0; i < sections.size(); ++i) {
    const Elf64_Shdr &section = sections[i];
    if (!isLoaded(section) || section.sh_type == SHT_NOBITS)
      continue;
    if (section.sh_offset > object.size() || section.sh_size > object.size() - section.sh_offset)
      return damaged("a section lies outside of it");
    std::memcpy(code->memory + offsets[i], object.data() + section.sh_offset, section.sh_size);
  }
  return {};
}

Result<void> ObjectLoader::resolve() {
  addresses.assign(symbols.size(), 0);
  for (size_t i = 1; i < symbols.size(); ++i) {
    const Elf64_Sym &symbol = symbols[i];
    const int binding = ELF64_ST_BIND(symbol.st_info);
    const std::string name = nameAt(names, symbol.st_name);
    if (symbol.st_shndx == SHN_UNDEF) {
      addresses[i] = uint64_t(findInProcess(name.c_str()));
      if (!addresses[i] && binding != STB_WEAK && !name.empty())
        return damaged(fmt::format("nothing in this process defines '{}'", name));
      // jmp *G(%rip)
      unsigned char stub[kStubBytes] = {0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc};
      const int32_t distance = int32_t(int64_t(gotOf(i)) - int64_t(stubOf(i) + 6));
      std::memcpy(stub + 2, &distance, sizeof distance);
      std::memcpy(code->memory + stubOffset + i * kStubBytes, stub, kStubBytes);
    } else if (symbol.st_shndx == SHN_ABS) {
      addresses[i] = symbol.st_value;
    } else if (symbol.st_shndx >= sections.size()) {
      return damaged("a symbol has no section");
    } else if (isLoaded(sections[symbol.st_shndx])) {
      if (symbol.st_value > sections[symbol.st_shndx].sh_size)
        return damaged("a symbol lies outside of its section");
      addresses[i] = uint64_t(code->memory + offsets[symbol.st_shndx]) + symbol.st_value;
      if (binding == STB_GLOBAL && !name.empty())
        code->symbols[name] = code->memory + offsets[symbol.st_shndx] + symbol.st_value;
    }
    std::memcpy(code->memory + gotOffset + i * sizeof(uint64_t), &addresses[i], sizeof(uint64_t));
  }
  return {};
}

Result<void> ObjectLoader::relocateAll() {
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type == SHT_REL && section.sh_info < sections.size() && isLoaded(sections[section.sh_info]))
      return damaged("its relocations have no addends");
    if (section.sh_type != SHT_RELA || section.sh_info >= sections.size() || !isLoaded(sections[section.sh_info]))
      continue;
    std::vector<Elf64_Rela> entries;
    if (!readTable(object, section.sh_offset, section.sh_size / sizeof(Elf64_Rela), entries))
      return damaged("its relocations lie outside of it");
    for (const Elf64_Rela &entry : entries)
      if (Result<void> done = relocate(entry, section.sh_info); !done)
        return done;
  }
  return {};
}

Result<void> ObjectLoader::relocate(const Elf64_Rela &entry, size_t target) {
  const uint32_t type = ELF64_R_TYPE(entry.r_info);
  const size_t symbol = ELF64_R_SYM(entry.r_info);
  const size_t width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
  if (type == R_X86_64_NONE)
    return {};
  if (symbol >= symbols.size() || entry.r_offset > sections[target].sh_size ||
      sections[target].sh_size - entry.r_offset < width)
    return damaged("a relocation lies outside of its section");
  char *const place = code->memory + offsets[target] + entry.r_offset;
  const bool isForeign = symbols[symbol].st_shndx == SHN_UNDEF && symbol != 0;
  uint64_t value = addresses[symbol];
  switch (type) {
  case R_X86_64_PC32:
  case R_X86_64_PLT32:
    value = isForeign ? stubOf(symbol) : value;
    break;
  case R_X86_64_GOTPCREL:
  case R_X86_64_GOTPCRELX:
  case R_X86_64_REX_GOTPCRELX:
    value = gotOf(symbol);
    break;
  case R_X86_64_64:
  case R_X86_64_PC64:
    break;
  default:
    return damaged(fmt::format("relocations of type {} are not supported", type));
  }
  value += uint64_t(entry.r_addend) - (type == R_X86_64_64 ? 0 : uint64_t(place));
  if (width == 4 && int64_t(value) != int32_t(value))
    return damaged("a relocation does not reach its symbol");
  std::memcpy(place, &value, width);
  return {};
}

Result<void> ObjectLoader::protect() {
  constexpr int access[kKinds] = {PROT_READ | PROT_EXEC, PROT_READ, PROT_READ | PROT_WRITE};
  for (int kind = 0; kind < kKinds; ++kind) {
    const size_t size = rounded(begins[kind + 1], size_t(::sysconf(_SC_PAGESIZE))) - begins[kind];
    if (size && ::mprotect(code->memory + begins[kind], size, access[kind]) != 0)
      return Error(fmt::format("this system does not let memory be executed: {}", std::strerror(errno)));
  }
  return {};
}

Result<std::shared_ptr<const ObjectCode>> ObjectCode::load(std::string_view object) {
  return ObjectLoader(object).load();
}

ObjectCode::~ObjectCode() {
  if (memory)
    ::munmap(memory, bytes);
}

void *ObjectCode::find(const std::string &symbol) const {
  const auto found = symbols.find(symbol);
  return found == symbols.end() ? nullptr : found->second;
}

} // namespace rondo::core
