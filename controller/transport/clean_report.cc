#include "controller/transport/clean_report.h"

#include <string>
#include <vector>

#include "common/status/printable.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace certcast::controller {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Clean(const FieldDescriptor& field, const std::string& text) {
  return &field == v1::Failure::descriptor()->FindFieldByNumber(v1::Failure::kStderrFieldNumber) ? PrintableOutput(text)
                                                                                                 : PrintableLine(text);
}

void CleanTexts(Message& message);

void CleanField(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const int size = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  for (int i = 0; i < size; ++i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CleanTexts(field.is_repeated() ? *reflection.MutableRepeatedMessage(&message, &field, i)
                                     : *reflection.MutableMessage(&message, &field));
    } else if (field.type() == FieldDescriptor::TYPE_STRING && field.is_repeated()) {
      reflection.SetRepeatedString(&message, &field, i, Clean(field, reflection.GetRepeatedString(message, &field, i)));
    } else if (field.type() == FieldDescriptor::TYPE_STRING) {
      reflection.SetString(&message, &field, Clean(field, reflection.GetString(message, &field)));
    }
  }
}

void CleanTexts(Message& message) {
  std::vector<const FieldDescriptor*> fields;
  // Only what is set.
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) CleanField(message, *field);
}

}  // namespace

void CleanReport(v1::Report& report) {
  CleanTexts(report);
}

}  // namespace certcast::controller
