#include "job/json_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/suggest.h"
#include "base/utf8.h"
#include "fmt/format.h"

namespace baton {
namespace {

// "line 3, column 14" of the `offset`th byte, both from 1.
std::string LineAndColumn(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? before.size() : offset - newline - 1;
  return fmt::format("line {}, column {}", line, std::max<size_t>(column, 1));
}

constexpr size_t kMaxReasonBytes = 200;
constexpr size_t kMaxShownKeyBytes = 64;

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …; last read: …"
// without what is the library's own and without the quoted text, which may be the whole input and
// is not always UTF-8.
std::string Reason(std::string_view what) {
  if (const auto bracket = what.find("] "); bracket != what.npos) what.remove_prefix(bracket + 2);
  if (what.starts_with("parse error at")) {
    if (const auto colon = what.find(": "); colon != what.npos) what.remove_prefix(colon + 2);
  }
  if (const auto last = what.find("; last read: "); last != what.npos) {
    const auto tail = what.rfind("; expected");  // the quoted text may say so too
    std::string reason(what.substr(0, last));
    if (tail != what.npos && tail > last) reason.append(what.substr(tail));
    return CleanUtf8(reason, kMaxReasonBytes);
  }
  return CleanUtf8(what, kMaxReasonBytes);
}

// Builds the tree bottom-up on a stack of its own: the containers that are still open.
class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, const JsonBounds& bounds, ProblemList* problems)
      : text_(text), bounds_(bounds), problems_(problems) {}

  JsonValue TakeRoot() { return std::move(root_); }

  bool null() override { return Attach({nullptr}); }
  bool boolean(bool value) override { return Attach({value}); }
  bool number_integer(number_integer_t value) override { return Attach({int64_t{value}}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > uint64_t{INT64_MAX}) return Attach({static_cast<double>(value)});
    return Attach({static_cast<int64_t>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override { return Attach({value}); }
  bool string(string_t& value) override { return Attach({std::move(value)}); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return Open(JsonObject{}); }
  bool key(string_t& name) override {
    open_.back().key = std::move(name);
    return true;
  }
  bool end_object() override {
    ReportDuplicates();
    return Close();
  }
  bool start_array(std::size_t) override { return Open(JsonArray{}); }
  bool end_array() override { return Close(); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    problems_->Add(LineAndColumn(text_, position), "{}", Reason(error.what()));
    return false;
  }

 private:
  struct Frame {
    JsonValue value;
    std::string key;  // of an object: the member that is being read
  };

  bool Open(auto container) {
    if (open_.size() >= bounds_.max_depth) {
      problems_->Add(PathOfOpen(), "is nested deeper than {} levels", bounds_.max_depth);
      return false;
    }
    open_.push_back({JsonValue{std::move(container)}, ""});
    return true;
  }

  bool Close() {
    JsonValue value = std::move(open_.back().value);
    open_.pop_back();
    return Attach(std::move(value));
  }

  bool Attach(JsonValue value) {
    if (++values_ > bounds_.max_values) {
      problems_->Add("job", "has more than {} values", bounds_.max_values);
      return false;
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<JsonArray>(&open_.back().value.value)) {
      array->push_back(std::move(value));
    } else {
      std::get<JsonObject>(open_.back().value.value)
          .emplace_back(std::move(open_.back().key), std::move(value));
    }
    return true;
  }

  void ReportDuplicates() {
    const auto& object = std::get<JsonObject>(open_.back().value.value);
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : object) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    for (auto it = keys.begin(); it != keys.end();) {
      it = std::adjacent_find(it, keys.end());
      if (it == keys.end()) break;
      std::string place = PathOf(open_.size() - 1);
      if (!place.empty()) place += '.';
      problems_->Add(place.append(CleanUtf8(*it, kMaxShownKeyBytes)),
                     "the key {} occurs more than once", Quoted(*it));
      it = std::upper_bound(it, keys.end(), *it);
    }
  }

  std::string PathOfOpen() const { return PathOf(open_.size()); }

  // Where the value stands that the outermost `depth` open containers hold.
  std::string PathOf(size_t depth) const {
    std::string path;
    for (size_t i = 0; i < depth; ++i) {
      const Frame& frame = open_[i];
      if (const auto* array = frame.value.As<JsonArray>()) {
        path += fmt::format("[{}]", array->size());
      } else {
        if (!path.empty()) path += '.';
        path += CleanUtf8(frame.key, kMaxShownKeyBytes);
      }
    }
    return path;
  }

  const std::string_view text_;
  const JsonBounds bounds_;
  ProblemList* const problems_;
  std::vector<Frame> open_;
  JsonValue root_;
  size_t values_ = 0;
};

void AppendString(const std::string& text, std::string* out) {
  *out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      *out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      *out += c;
    }
  }
  *out += '"';
}

// Recursive: the depth was bounded when the tree was read.
void AppendCanonical(const JsonValue& json, std::string_view omitted, std::string* out);

void AppendObject(const JsonObject& object, std::string_view omitted, std::string* out) {
  std::vector<const JsonObject::value_type*> members;
  for (const auto& member : object) {
    if (omitted.empty() || member.first != omitted) members.push_back(&member);
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const auto* a, const auto* b) { return a->first < b->first; });
  *out += '{';
  for (const auto* member : members) {
    if (member != members.front()) *out += ',';
    AppendString(member->first, out);
    *out += ':';
    AppendCanonical(member->second, "", out);
  }
  *out += '}';
}

void AppendCanonical(const JsonValue& json, std::string_view omitted, std::string* out) {
  if (const auto* flag = json.As<bool>()) {
    *out += *flag ? "true" : "false";
  } else if (const auto* integer = json.As<int64_t>()) {
    *out += std::to_string(*integer);
  } else if (const auto* number = json.As<double>()) {
    *out += fmt::format("{}", *number);
  } else if (const auto* text = json.As<std::string>()) {
    AppendString(*text, out);
  } else if (const auto* array = json.As<JsonArray>()) {
    *out += '[';
    for (const JsonValue& element : *array) {
      if (&element != &array->front()) *out += ',';
      AppendCanonical(element, "", out);
    }
    *out += ']';
  } else if (const auto* object = json.As<JsonObject>()) {
    AppendObject(*object, omitted, out);
  } else {
    *out += "null";
  }
}

}  // namespace

std::optional<JsonValue> ReadJson(std::string_view text, const JsonBounds& bounds,
                                  ProblemList* problems) {
  TreeBuilder builder(text, bounds, problems);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return std::nullopt;
  return builder.TakeRoot();
}

std::string CanonicalJson(const JsonValue& document, std::string_view omitted) {
  std::string out;
  AppendCanonical(document, omitted, &out);
  return out;
}

}  // namespace baton
