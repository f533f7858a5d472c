// NumPy's .npz: a zip archive of .npy arrays. The zip format is minizip's (zlib's companion library), on bytes in
// memory when reading and on an AtomicFile when writing.
#include "runtime/core/FileFormats.h"
#include "runtime/core/NpyHeader.h"
#include "runtime/core/Strided.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <minizip/unzip.h>
#include <minizip/zip.h>
#include <set>

namespace rondo {
namespace {

using namespace core;

// Deflate cannot do better than this: a block of 258-byte matches takes 2 bits for each.
constexpr uint64_t bestRatio = 1032;
// Pieces in which elements are handed to minizip, whose lengths have 32 bits.
constexpr size_t piece = size_t(1) << 26;

// Reading.

/// Bytes in memory as minizip's file.
struct MemoryFile {
  std::span<const std::byte> bytes;
  uint64_t position = 0;

  zlib_filefunc64_def functions() {
    zlib_filefunc64_def f{};
    f.opaque = this;
    f.zopen64_file = [](voidpf self, const void *, int) -> voidpf { return self; };
    f.zread_file = [](voidpf, voidpf stream, void *to, uLong size) -> uLong {
      auto &file = *static_cast<MemoryFile *>(stream);
      const uint64_t count = std::min<uint64_t>(size, file.bytes.size() - file.position);
      if (count > 0)
        std::memcpy(to, file.bytes.data() + file.position, count);
      file.position += count;
      return uLong(count);
    };
    f.zwrite_file = [](voidpf, voidpf, const void *, uLong) -> uLong { return 0; };
    f.ztell64_file = [](voidpf, voidpf stream) -> ZPOS64_T { return static_cast<MemoryFile *>(stream)->position; };
    f.zseek64_file = [](voidpf, voidpf stream, ZPOS64_T offset, int origin) -> long {
      auto &file = *static_cast<MemoryFile *>(stream);
      const uint64_t size = file.bytes.size();
      const uint64_t base = origin == ZLIB_FILEFUNC_SEEK_SET   ? 0
                            : origin == ZLIB_FILEFUNC_SEEK_CUR ? file.position
                                                               : size;
      if (offset > size - base)
        return -1;
      file.position = base + offset;
      return 0;
    };
    f.zclose_file = [](voidpf, voidpf) -> int { return 0; };
    f.zerror_file = [](voidpf, voidpf) -> int { return 0; };
    return f;
  }
};

/// The record that ends an archive, without a comment 22 bytes. minizip searches for it from the end and takes one that
/// is cut off, or followed by anything; we want it whole and last. `entries` is the number of members that it gives,
/// 65535 standing for "more".
bool endsWhole(std::span<const std::byte> bytes, unsigned &entries) {
  constexpr size_t recordSize = 22;
  const std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  const size_t place = text.rfind("PK\x05\x06");
  if (place == std::string_view::npos || text.size() - place < recordSize)
    return false;
  const auto number = [&](size_t at) {
    return unsigned(uint8_t(text[place + at])) | unsigned(uint8_t(text[place + at + 1])) << 8;
  };
  entries = number(10);
  return text.size() - place - recordSize == number(20);
}

struct CloseArchive {
  void operator()(void *archive) const { unzClose(archive); }
};
using Archive = std::unique_ptr<void, CloseArchive>;

/// One member, its name without ".npy".
struct Member {
  std::string name;
  unz_file_info64 info{};
  uint64_t place = 0; // of its entry in the archive's directory
};

bool readExactly(void *archive, void *to, size_t bytes) {
  char *next = static_cast<char *>(to);
  while (bytes > 0) {
    const int done = unzReadCurrentFile(archive, next, unsigned(std::min(bytes, piece)));
    if (done <= 0)
      return false;
    next += done;
    bytes -= size_t(done);
  }
  return true;
}

Result<Member> describeMember(void *archive) {
  std::array<char, 65537> name;
  Member member;
  member.place = unzGetOffset64(archive);
  if (unzGetCurrentFileInfo64(archive, &member.info, name.data(), name.size(), nullptr, 0, nullptr, 0) != UNZ_OK)
    return fileError("", member.place, "the archive's directory is damaged");
  member.name.assign(name.data(), std::min<size_t>(member.info.size_filename, name.size() - 1));
  constexpr std::string_view suffix = ".npy";
  const size_t stem = member.name.size() - std::min(member.name.size(), suffix.size());
  const unz_file_info64 &info = member.info;
  if (std::string_view(member.name).substr(stem) != suffix || member.name.find('\0') != std::string::npos)
    return fileError("", member.place, fmt::format("the member '{}' is not a .npy array", member.name.c_str()));
  member.name.resize(stem);
  if (info.flag & 1)
    return fileError(member.name, member.place, "the member is encrypted");
  if (info.compression_method != 0 && info.compression_method != Z_DEFLATED)
    return fileError(
        member.name, member.place,
        fmt::format("compression method {} is not supported; stored and deflated are", info.compression_method));
  // Nothing is allocated by a size that the bytes at hand cannot yield.
  const bool possible = info.compression_method == 0 ? info.uncompressed_size == info.compressed_size
                                                     : info.uncompressed_size / bestRatio <= info.compressed_size;
  if (!possible)
    return fileError(
        member.name, member.place,
        fmt::format("{} bytes cannot come from {} compressed ones", info.uncompressed_size, info.compressed_size));
  return member;
}

/// The header at the beginning of an opened member; `used` counts its bytes.
Result<NpyHeader> readHeader(void *archive, const Member &member, uint64_t &used) {
  const auto bad = [&](const Error &error) {
    return fileError(member.name, member.place, error.diagnostics.front().message);
  };
  std::array<char, npyPreamble> preamble;
  if (!readExactly(archive, preamble.data(), preamble.size()))
    return bad(Error("cut off or damaged inside of the .npy header"));
  size_t start = 0, length = 0;
  if (Result<void> parsed = parseNpyPreamble({preamble.data(), preamble.size()}, start, length); !parsed)
    return bad(parsed.error());
  std::string text(preamble.data() + start, npyPreamble - start);
  const size_t already = std::min(text.size(), length);
  text.resize(std::max(length, text.size()));
  if (length < npyPreamble - start || !readExactly(archive, text.data() + already, length - already))
    return bad(Error("cut off or damaged inside of the .npy header"));
  used = start + length;
  Result<NpyHeader> header = parseNpyHeader(text);
  if (!header)
    return bad(header.error());
  return header;
}

Result<Buffer> readElements(void *archive, const Member &member, const NpyHeader &header, uint64_t used) {
  const auto bad = [&](std::string_view what) { return fileError(member.name, member.place, what); };
  const std::optional<size_t> bytes = checkedBytes(header.type, header.shape);
  if (!bytes || used > member.info.uncompressed_size || *bytes != member.info.uncompressed_size - used)
    return bad(fmt::format("[{}] of type {} does not take the member's {} bytes of elements",
                           fmt::join(header.shape, ", "), nameOf(header.type),
                           member.info.uncompressed_size - std::min<uint64_t>(used, member.info.uncompressed_size)));
  Buffer buffer(header.type, header.shape);
  if (!buffer.data())
    return bad("out of memory");
  if (!readExactly(archive, buffer.data(), *bytes))
    return bad("the elements are cut off or damaged");
  if (Result<void> fine = checkBools(member.name, used, buffer); !fine)
    return fine.error();
  if (!header.fortranOrder || header.shape.size() < 2)
    return buffer;
  Tensor view = buffer.view();
  int64_t step = 1;
  for (int64_t size : header.shape) {
    view.strides.push_back(step);
    step *= std::max<int64_t>(size, 1);
  }
  Buffer rowMajorCopy(header.type, header.shape);
  if (!rowMajorCopy.data())
    return bad("out of memory");
  copyElements(view, rowMajorCopy.view());
  return rowMajorCopy;
}

Result<Buffer> readMember(void *archive, const Member &member) {
  if (unzOpenCurrentFile(archive) != UNZ_OK)
    return fileError(member.name, member.place, "the member's own header is damaged or disagrees with the directory");
  uint64_t used = 0;
  Result<NpyHeader> header = readHeader(archive, member, used);
  Result<Buffer> buffer = header ? readElements(archive, member, *header, used) : Result<Buffer>(header.error());
  // Closing compares the checksum once everything has been read.
  if (unzCloseCurrentFile(archive) == UNZ_CRCERROR && buffer)
    return fileError(member.name, member.place, "the checksum does not match: the file is damaged");
  return buffer;
}

// Writing.

/// An AtomicFile as minizip's file. The first error is kept, since minizip's codes tell nothing.
struct OutputFile {
  AtomicFile &file;
  std::optional<Error> error;

  bool note(const Result<void> &result) {
    if (!result && !error)
      error = result.error();
    return bool(result);
  }

  zlib_filefunc64_def functions() {
    zlib_filefunc64_def f{};
    f.opaque = this;
    f.zopen64_file = [](voidpf self, const void *, int) -> voidpf { return self; };
    f.zread_file = [](voidpf, voidpf, void *, uLong) -> uLong { return 0; };
    f.zwrite_file = [](voidpf, voidpf stream, const void *from, uLong size) -> uLong {
      auto &self = *static_cast<OutputFile *>(stream);
      return self.note(self.file.write(from, size)) ? size : 0;
    };
    f.ztell64_file = [](voidpf, voidpf stream) -> ZPOS64_T {
      return static_cast<OutputFile *>(stream)->file.position();
    };
    // While creating, minizip goes back to a member's header and forward again, by absolute places only.
    f.zseek64_file = [](voidpf, voidpf stream, ZPOS64_T offset, int origin) -> long {
      auto &self = *static_cast<OutputFile *>(stream);
      return origin == ZLIB_FILEFUNC_SEEK_SET && self.note(self.file.seek(offset)) ? 0 : -1;
    };
    f.zclose_file = [](voidpf, voidpf) -> int { return 0; };
    f.zerror_file = [](voidpf, voidpf stream) -> int { return static_cast<OutputFile *>(stream)->error.has_value(); };
    return f;
  }
};

bool writePieces(zipFile zip, const char *bytes, size_t size) {
  for (size_t done = 0; done < size; done += piece)
    if (zipWriteInFileInZip(zip, bytes + done, unsigned(std::min(piece, size - done))) != ZIP_OK)
      return false;
  return true;
}

bool writeMember(zipFile zip, const std::string &name, const Tensor &tensor) {
  constexpr uLong utf8Names = 1 << 11, madeByUnix = 3 << 8 | 45;
  zip_fileinfo info{};
  info.dosDate = 0x00210000; // 1980-01-01, so that equal tensors give equal files
  info.external_fa = 0644ul << 16;
  const std::string header = formatNpyHeader(tensor.type, tensor.shape);
  const size_t bytes = *checkedBytes(tensor.type, tensor.shape);
  const bool zip64 = bytes + header.size() >= 0xffffffffu;
  if (zipOpenNewFileInZip4_64(zip, (name + ".npy").c_str(), &info, nullptr, 0, nullptr, 0, nullptr, 0, 0, 0, -MAX_WBITS,
                              DEF_MEM_LEVEL, Z_DEFAULT_STRATEGY, nullptr, 0, madeByUnix, utf8Names, zip64) != ZIP_OK)
    return false;
  Buffer copy;
  if (!tensor.contiguous()) {
    copy = Buffer(tensor.type, tensor.shape);
    if (!copy.data())
      return false;
    copyElements(tensor, copy.view());
  }
  const void *data = copy.data() ? copy.data() : tensor.data;
  return writePieces(zip, header.data(), header.size()) && writePieces(zip, static_cast<const char *>(data), bytes) &&
         zipCloseFileInZip(zip) == ZIP_OK;
}

} // namespace

Result<NamedBuffers> readNpz(std::span<const std::byte> bytes) {
  unsigned entries = 0;
  if (!endsWhole(bytes, entries))
    return fileError("", bytes.size(), "not a zip archive, or cut off");
  if (entries == 0) // minizip does not open an archive without members
    return bytes.size() == 22 ? Result<NamedBuffers>(NamedBuffers())
                              : fileError("", 0, "an archive without members, but with content");
  MemoryFile file{bytes};
  zlib_filefunc64_def functions = file.functions();
  Archive archive(unzOpen2_64("", &functions));
  unz_global_info64 global{};
  if (!archive || unzGetGlobalInfo64(archive.get(), &global) != UNZ_OK)
    return fileError("", 0, "the archive's directory is damaged");
  NamedBuffers tensors;
  std::set<std::string> names;
  uint64_t compressed = 0;
  for (uint64_t i = 0; i < global.number_entry; ++i) {
    if ((i == 0 ? unzGoToFirstFile(archive.get()) : unzGoToNextFile(archive.get())) != UNZ_OK)
      return fileError("", unzGetOffset64(archive.get()), "the archive's directory is damaged");
    Result<Member> member = describeMember(archive.get());
    if (!member)
      return member.error();
    // Members that share their bytes would let a small file ask for any amount of memory.
    if (member->info.compressed_size > bytes.size() - compressed)
      return fileError(member->name, member->place, "the archive's members are larger than the archive");
    compressed += member->info.compressed_size;
    if (!names.insert(member->name).second)
      return fileError(member->name, member->place, "the name comes twice");
    Result<Buffer> buffer = readMember(archive.get(), *member);
    if (!buffer)
      return buffer.error();
    tensors.emplace_back(member->name, std::move(*buffer));
  }
  return tensors;
}

Result<void> core::writeNpz(AtomicFile &file, const NamedTensors &tensors) {
  OutputFile output{file, {}};
  zlib_filefunc64_def functions = output.functions();
  zipFile zip = zipOpen2_64("", APPEND_STATUS_CREATE, nullptr, &functions);
  if (!zip)
    return Error("cannot begin the archive");
  std::string failed;
  for (size_t i = 0; i < tensors.size() && failed.empty(); ++i)
    if (!writeMember(zip, tensors[i].first, tensors[i].second))
      failed = tensors[i].first;
  const bool closed = zipClose(zip, nullptr) == ZIP_OK;
  if (output.error)
    return *output.error;
  if (!failed.empty())
    return Error(fmt::format("tensor '{}': cannot be written into the archive", failed));
  return closed ? Result<void>() : Result<void>(Error("cannot finish the archive"));
}

} // namespace rondo
