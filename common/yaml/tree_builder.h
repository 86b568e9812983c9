// Makes a document's tree from yaml-cpp's events.
#ifndef CERTCAST_COMMON_YAML_TREE_BUILDER_H_
#define CERTCAST_COMMON_YAML_TREE_BUILDER_H_

#include "common/yaml/document.h"

namespace certcast::yaml {

class TreeBuilder {
 public:
  // Fills `document` from its text. What is wrong becomes an error of it. False when the text could not be read to its
  // end and the tree is not whole.
  static bool Build(Document& document, const Limits& limits);
};

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_TREE_BUILDER_H_
