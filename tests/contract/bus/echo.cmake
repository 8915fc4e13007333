# What protobuf-c makes of echo.proto, for whichever of the bus's tests and bench comes first.
if(NOT TARGET boson_test_echo)
	set(echo_folder ${CMAKE_BINARY_DIR}/tests/echo)
	file(MAKE_DIRECTORY ${echo_folder})
	add_custom_command(
		OUTPUT ${echo_folder}/echo.pb-c.c ${echo_folder}/echo.pb-c.h
		COMMAND protoc-c -I${CMAKE_CURRENT_LIST_DIR} --c_out=${echo_folder} echo.proto
		DEPENDS ${CMAKE_CURRENT_LIST_DIR}/echo.proto
		VERBATIM)
	add_library(boson_test_echo STATIC ${echo_folder}/echo.pb-c.c)
	target_include_directories(boson_test_echo SYSTEM PUBLIC ${echo_folder})
	target_link_libraries(boson_test_echo PUBLIC PkgConfig::PROTOBUF_C)
endif()
