# How everything is compiled: warnings are errors, sanitizers on request, ccache where there is one.

set(BATON_SANITIZE "" CACHE STRING "address (with a trimmed UBSan), thread, or empty")
option(BATON_FUZZ "the fuzz targets of tests/fuzz instead of the tests; needs Clang" OFF)

add_compile_options(-Wall -Wextra -Werror -Wno-missing-field-initializers)
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY
                        SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
# Line tables are what a stack trace needs; full debug information doubles the build.
string(REPLACE "-g" "-g1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
# Assertions stay on: a broken invariant aborts, in production too.
string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")

if(BATON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "BATON_FUZZ needs Clang's libFuzzer: -DCMAKE_CXX_COMPILER=clang++-19")
  endif()
  set(BATON_SANITIZE address)
  # Clang warns of other things than the compiler that everything is written for.
  add_compile_options(-fsanitize=fuzzer-no-link -Wno-error)
endif()

if(BATON_SANITIZE STREQUAL "address")
  # vptr, null, alignment and object-size find little beyond ASan and double the compile time.
  add_compile_options(-O1 -fno-omit-frame-pointer -fsanitize=address,undefined
                      -fno-sanitize=vptr,null,alignment,object-size -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
elseif(BATON_SANITIZE STREQUAL "thread")
  add_compile_options(-O1 -fno-omit-frame-pointer -fsanitize=thread)
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  add_link_options(-fsanitize=thread)
elseif(NOT BATON_SANITIZE STREQUAL "")
  message(FATAL_ERROR "BATON_SANITIZE must be address, thread or empty, not '${BATON_SANITIZE}'")
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=true ${CCACHE})
endif()
