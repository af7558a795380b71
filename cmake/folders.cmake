# baton_library(NAME [PROTOS a.proto …] [DEPENDS lib …])
#   The static library of the folder it is called in: every .cc below it (but for main programs,
#   *_main.cc), its protobuf messages, and the libraries that it may use.
# baton_program(NAME SOURCE DEPENDS lib …)
#   A binary in build/bin.
# baton_test(NAME SOURCES … DEPENDS lib …)
#   A GoogleTest program, registered with CTest under NAME.

set(BATON_GENERATED ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${BATON_GENERATED})

function(baton_library NAME)
  cmake_parse_arguments(ARG "" "" "PROTOS;DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_main\\.cc$")
  # A folder below with a CMakeLists.txt of its own is a library of its own.
  file(GLOB_RECURSE inner CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(list_file ${inner})
    get_filename_component(inner_folder ${list_file} DIRECTORY)
    list(FILTER sources EXCLUDE REGEX "^${inner_folder}/")
  endforeach()
  set(generated)
  foreach(proto ${ARG_PROTOS})
    file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${proto})
    string(REPLACE ".proto" ".pb.cc" out_cc ${BATON_GENERATED}/${relative})
    string(REPLACE ".proto" ".pb.h" out_h ${BATON_GENERATED}/${relative})
    add_custom_command(
      OUTPUT ${out_cc} ${out_h}
      COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${BATON_GENERATED}
              ${CMAKE_SOURCE_DIR}/${relative}
      DEPENDS ${CMAKE_SOURCE_DIR}/${relative}
      COMMENT "protoc ${relative}")
    set_source_files_properties(${out_cc} PROPERTIES COMPILE_OPTIONS "-Wno-error")
    list(APPEND generated ${out_cc} ${out_h})
  endforeach()
  if(NOT sources AND NOT generated)  # headers only
    add_library(${NAME} INTERFACE)
    target_include_directories(${NAME} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${NAME} INTERFACE ${ARG_DEPENDS})
    return()
  endif()
  add_library(${NAME} STATIC ${sources} ${generated})
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_include_directories(${NAME} SYSTEM PUBLIC ${BATON_GENERATED})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPENDS})
endfunction()

function(baton_program NAME)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPENDS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCE})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPENDS})
endfunction()

function(baton_test NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPENDS} GTest::gtest_main)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES TIMEOUT 1200)
endfunction()
