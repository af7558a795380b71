// The bytes of yesterday: every message that is stored or sent, as an earlier build wrote it. A
// change of the .proto files that would misread them (another number, another type, a removed
// field) fails here, as does a message, field or frame kind that has no golden file yet.
//
//   build/bin/golden_tests --update-golden    adds what is missing; never changes what is there
//
// A file <Message>.<n>.golden (<Message>.<kind>.<n>.golden for the kinds of a oneof) is the message
// in text format, then the line "bytes:", then its bytes in hex. New fields get a new file with the
// next number: the older bytes stay to be read.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "dispatcher/archived_execution.pb.h"
#include "fmt/format.h"
#include "job/job_graph.pb.h"
#include "rpc/messages.pb.h"
#include "rpc/records.pb.h"
#include "store/records.pb.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
namespace proto = google::protobuf;
using MessagePtr = std::unique_ptr<proto::Message>;

bool update_golden = false;

constexpr char kBytesMark[] = "\nbytes:\n";
constexpr size_t kHexColumns = 96;

fs::path Directory() { return fs::path(BATON_SOURCE_DIR) / "tests" / "golden"; }

// Guardian and TaskManager come of one build and talk over a socketpair: their messages may change.
std::vector<const proto::FileDescriptor*> CoveredFiles() {
  return {pb::Envelope::descriptor()->file(), pb::LeaderRecord::descriptor()->file(),
          pb::JobGraph::descriptor()->file(), pb::JobPointer::descriptor()->file(),
          pb::ArchivedExecution::descriptor()->file()};
}

// One thing that needs golden files: a message, or one kind of a message that has kinds.
struct Subject {
  const proto::Descriptor* message = nullptr;
  const proto::FieldDescriptor* kind = nullptr;  // null: the message has none

  std::string Name() const {
    const std::string name = message->full_name().substr(message->file()->package().size() + 1);
    return kind == nullptr ? name : name + "." + kind->name();
  }
  fs::path Folder() const { return Directory() / fs::path(message->file()->name()).parent_path(); }
  fs::path File(int generation) const {
    return Folder() / fmt::format("{}.{}.golden", Name(), generation);
  }
};

void AddSubjects(const proto::Descriptor* message, std::vector<Subject>* subjects) {
  if (message->oneof_decl_count() == 0) subjects->push_back({message, nullptr});
  for (int i = 0; i < message->oneof_decl_count(); ++i) {
    const proto::OneofDescriptor* oneof = message->oneof_decl(i);
    for (int j = 0; j < oneof->field_count(); ++j) subjects->push_back({message, oneof->field(j)});
  }
  for (int i = 0; i < message->nested_type_count(); ++i) {
    AddSubjects(message->nested_type(i), subjects);
  }
}

std::vector<Subject> AllSubjects() {
  std::vector<Subject> subjects;
  for (const proto::FileDescriptor* file : CoveredFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      AddSubjects(file->message_type(i), &subjects);
    }
  }
  return subjects;
}

bool Belongs(const Subject& subject, const proto::FieldDescriptor* field) {
  return field->containing_oneof() == nullptr || field == subject.kind;
}

MessagePtr NewMessage(const proto::Descriptor* descriptor) {
  return MessagePtr(proto::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
}

// --- samples

void Fill(const Subject& subject, proto::Message* message);

// Sets a single field, or adds to a repeated one: by the type, a value that is not the default.
void FillField(const proto::FieldDescriptor* field, int n, proto::Message* message) {
  const proto::Reflection& access = *message->GetReflection();
  const auto put = [&](auto set, auto add, const auto& value) {
    field->is_repeated() ? (access.*add)(message, field, value)
                         : (access.*set)(message, field, value);
  };
  using R = proto::Reflection;
  using F = proto::FieldDescriptor;
  const int number = 1'000 * field->number() + 1 + n;
  switch (field->cpp_type()) {
    case F::CPPTYPE_INT32:
      return put(&R::SetInt32, &R::AddInt32, -number);
    case F::CPPTYPE_INT64:
      return put(&R::SetInt64, &R::AddInt64, int64_t{-1'000'000'000} * number);
    case F::CPPTYPE_UINT32:
      return put(&R::SetUInt32, &R::AddUInt32, static_cast<uint32_t>(number));
    case F::CPPTYPE_UINT64:
      return put(&R::SetUInt64, &R::AddUInt64, uint64_t{10'000'000'000} * number);
    case F::CPPTYPE_DOUBLE:
      return put(&R::SetDouble, &R::AddDouble, number + 0.5);
    case F::CPPTYPE_FLOAT:
      return put(&R::SetFloat, &R::AddFloat, static_cast<float>(number) + 0.5f);
    case F::CPPTYPE_BOOL:
      return put(&R::SetBool, &R::AddBool, true);
    case F::CPPTYPE_ENUM: {
      const proto::EnumDescriptor* type = field->enum_type();
      return put(&R::SetEnumValue, &R::AddEnumValue,
                 type->value(type->value_count() - 1)->number());
    }
    case F::CPPTYPE_STRING: {
      const std::string text = fmt::format("{} {}", field->name(), n);
      const bool bytes = field->type() == F::TYPE_BYTES;
      return put(&R::SetString, &R::AddString, bytes ? "\xff" + text : text);
    }
    case F::CPPTYPE_MESSAGE: {
      proto::Message* inner = field->is_repeated() ? access.AddMessage(message, field)
                                                   : access.MutableMessage(message, field);
      const proto::Descriptor* type = field->message_type();
      const bool kinds = type->oneof_decl_count() != 0;
      return Fill({type, kinds ? type->oneof_decl(0)->field(0) : nullptr}, inner);
    }
  }
}

void Fill(const Subject& subject, proto::Message* message) {
  for (int i = 0; i < subject.message->field_count(); ++i) {
    const proto::FieldDescriptor* field = subject.message->field(i);
    if (!Belongs(subject, field)) continue;
    for (int n = 0; n < (field->is_repeated() ? 2 : 1); ++n) FillField(field, n, message);
  }
}

// --- files

std::string ToHex(const std::string& bytes) {
  std::string hex;
  for (const unsigned char byte : bytes) {
    if (hex.size() % (kHexColumns + 1) == kHexColumns) hex += '\n';
    hex += fmt::format("{:02x}", byte);
  }
  return hex + "\n";
}

std::string FromHex(const std::string& hex) {
  std::string digits, bytes;
  for (const char c : hex) {
    if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
  }
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string Read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void Write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  std::printf("written: %s\n", file.c_str());
}

void WriteSample(const Subject& subject, const fs::path& file) {
  const MessagePtr sample = NewMessage(subject.message);
  Fill(subject, sample.get());
  std::string text;
  ASSERT_TRUE(proto::TextFormat::PrintToString(*sample, &text));
  Write(file, fmt::format("# {}\n{}{}{}", subject.Name(), text, std::string(kBytesMark).substr(1),
                          ToHex(sample->SerializeAsString())));
}

// --- checks

bool HasUnknown(const proto::Message& message) {
  const proto::Reflection& access = *message.GetReflection();
  if (!access.GetUnknownFields(message).empty()) return true;
  std::vector<const proto::FieldDescriptor*> fields;
  access.ListFields(message, &fields);
  for (const proto::FieldDescriptor* field : fields) {
    if (field->cpp_type() != proto::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (HasUnknown(access.GetMessage(message, field))) return true;
      continue;
    }
    for (int i = 0; i < access.FieldSize(message, field); ++i) {
      if (HasUnknown(access.GetRepeatedMessage(message, field, i))) return true;
    }
  }
  return false;
}

// What the file holds, read by its bytes; null where something is wrong (and said).
MessagePtr Check(const Subject& subject, const fs::path& file) {
  const std::string content = Read(file);
  const size_t mark = content.find(kBytesMark);
  EXPECT_NE(mark, std::string::npos) << file << " has no line \"bytes:\"";
  if (mark == std::string::npos) return nullptr;
  const MessagePtr text = NewMessage(subject.message);
  EXPECT_TRUE(proto::TextFormat::ParseFromString(content.substr(0, mark + 1), text.get()))
      << file << ": a field was removed, renamed or has another type";
  const std::string bytes = FromHex(content.substr(mark + sizeof kBytesMark - 1));
  MessagePtr read = NewMessage(subject.message);
  EXPECT_TRUE(read->ParseFromString(bytes)) << file << ": today's reader does not understand it";
  EXPECT_FALSE(HasUnknown(*read)) << file << ": today's reader does not know all of its fields";
  EXPECT_TRUE(proto::util::MessageDifferencer::Equals(*text, *read))
      << file << ": today's reader takes it for\n"
      << read->DebugString() << "but it was written as\n"
      << text->DebugString();
  EXPECT_EQ(ToHex(text->SerializeAsString()), ToHex(bytes)) << file;
  return read;
}

std::set<std::string> SetFields(const proto::Message& message) {
  std::vector<const proto::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::set<std::string> names;
  for (const proto::FieldDescriptor* field : fields) names.insert(field->name());
  return names;
}

TEST(GoldenTest, EveryMessageOfYesterdayIsUnderstood) {
  std::set<fs::path> known;
  for (const Subject& subject : AllSubjects()) {
    std::set<std::string> covered;
    int generation = 1;
    for (; fs::exists(subject.File(generation)); ++generation) {
      known.insert(subject.File(generation));
      const MessagePtr message = Check(subject, subject.File(generation));
      if (message) covered.merge(SetFields(*message));
    }
    std::string missing = generation == 1 ? "(the whole message) " : "";
    for (int i = 0; i < subject.message->field_count(); ++i) {
      const proto::FieldDescriptor* field = subject.message->field(i);
      if (Belongs(subject, field) && !covered.contains(field->name())) {
        missing += field->name() + " ";
      }
    }
    if (!missing.empty() && update_golden && !HasFailure()) {
      known.insert(subject.File(generation));
      WriteSample(subject, subject.File(generation));
    } else {
      EXPECT_EQ(missing, "") << subject.Name() << ": not in a golden file; see the top of "
                             << __FILE__;
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(Directory())) {
    const bool golden = entry.is_regular_file() && entry.path().extension() == ".golden" &&
                        entry.path().filename() != "enums.golden";
    EXPECT_TRUE(!golden || known.contains(entry.path()))
        << entry.path() << ": this message, or this kind of it, is gone";
  }
}

void AddEnums(const proto::EnumDescriptor* type, std::map<std::string, int>* values) {
  for (int i = 0; i < type->value_count(); ++i) {
    (*values)[type->full_name() + "." + type->value(i)->name()] = type->value(i)->number();
  }
}

void AddEnums(const proto::Descriptor* message, std::map<std::string, int>* values) {
  for (int i = 0; i < message->enum_type_count(); ++i) AddEnums(message->enum_type(i), values);
  for (int i = 0; i < message->nested_type_count(); ++i) {
    AddEnums(message->nested_type(i), values);
  }
}

TEST(GoldenTest, EveryEnumKeepsItsNumbers) {
  std::map<std::string, int> now;
  for (const proto::FileDescriptor* file : CoveredFiles()) {
    for (int i = 0; i < file->enum_type_count(); ++i) AddEnums(file->enum_type(i), &now);
    for (int i = 0; i < file->message_type_count(); ++i) AddEnums(file->message_type(i), &now);
  }
  const fs::path file = Directory() / "enums.golden";
  std::map<std::string, int> before;
  std::istringstream lines(Read(file));
  std::string name;
  for (int number = 0; lines >> name >> number;) before[name] = number;
  std::string all;
  for (const auto& [value, number] : before) {
    EXPECT_TRUE(now.contains(value) && now[value] == number)
        << value << " was " << number << " and is so in what was stored";
  }
  for (const auto& [value, number] : now) {
    EXPECT_TRUE(update_golden || before.contains(value)) << value << " is not in " << file;
    all += fmt::format("{} {}\n", value, number);
  }
  if (update_golden && !HasFailure() && now != before) Write(file, all);
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (argv[i] == std::string("--update-golden")) baton::update_golden = true;
  }
  return RUN_ALL_TESTS();
}
